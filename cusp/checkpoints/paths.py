"""Paths of checkpoints below a training's output folder, and safe look-up of a relative one."""

import os
import re
from pathlib import Path

from cusp.checkpoints.manifest import _FORMER, CheckpointError, belongs, is_complete, verify

_NAME = re.compile(r"checkpoint-(\d+)(?:-[0-9a-f]{16})?")


def found_in(root: Path) -> list[Path]:
    """Return the complete checkpoints directly under `root`, by step."""
    return [path for path in folders_in(root) if is_complete(path)]


def folders_in(root: Path) -> list[Path]:
    """Return the directories directly under `root` that are named like a checkpoint, by step."""
    if not root.is_dir():
        return []
    named = [path for path in root.iterdir() if step_of(path) is not None and path.is_dir()]
    return sorted(named, key=lambda path: (step_of(path) or 0, path.name))


def latest(root: Path, run_id: str | None = None) -> Path | None:
    """Return the newest checkpoint under `root` whose files match its manifest, or None.

    With `run_id` only those of that run: several runs may be trained into one folder.
    """
    for path in reversed(found_in(root)):
        try:
            if belongs(verify(path), run_id):
                return path
        except (CheckpointError, OSError):
            continue
    return None


def step_of(path: Path) -> int | None:
    """Return the step in a `checkpoint-N` or `checkpoint-N-<16 hash digits>` name, or None.

    >>> step_of(Path("runs/x/checkpoint-450")), step_of(Path("runs/x/notes"))
    (450, None)
    """
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def run_root(cusp_dir: Path, run_id: str) -> Path:
    """Return the folder of a run's checkpoints on this box.

    That is `runs/<run_id>` of the Cusp folder, or the folder named in its `root` file, which only a
    process on this box writes, never the network.
    """
    home = cusp_dir / "runs" / run_id
    pointer = home / "root"
    return Path(os.fsdecode(pointer.read_bytes())) if pointer.is_file() else home


def roots(home: Path) -> list[Path]:
    """Return every root that the run has had on this box, the current one first."""
    found = [home]
    for name in ("root", _FORMER):
        if (home / name).is_file():
            named = (home / name).read_bytes().split(b"\0")
            found = [*found[1:], *(Path(os.fsdecode(one)) for one in named if one), home]
    return list(dict.fromkeys(found))


def point_to_root(home: Path, root: Path) -> None:
    """Record in a run's folder that its checkpoints lie below `root`, whatever bytes its name has.

    Former roots are kept: a run resumed into another folder has kept checkpoints in the old one.
    """
    if former := [each for each in roots(home) if each not in (root, home)]:
        part = home / f".{_FORMER}"
        part.write_bytes(b"\0".join(map(os.fsencode, former)))
        part.replace(home / _FORMER)
    (home / "root").write_bytes(os.fsencode(root))


def resolve(root: Path, relative: str) -> Path:
    """Return the directory `relative` below `root`.

    Raises CheckpointError for an absolute path, a path out of the root, a symbolic link in any part of
    it, a NUL byte, or a directory that does not exist.
    """
    parts = Path(relative).parts
    if "\0" in relative or not parts or Path(relative).is_absolute() or ".." in parts:
        raise CheckpointError(f"{relative!r} is not a path below the run's root")
    path = root
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise CheckpointError(f"{relative!r} passes through a symbolic link")
    if not path.is_dir():
        raise CheckpointError(f"there is no checkpoint at {relative!r} on this box")
    return path
