"""Complete, hashed checkpoint directories: the manifest, pinning by hard link, safe look-up.

A checkpoint is complete when its `manifest.json` is there: it is written last, by rename, and holds
the sha256 of every other file (safetensors loads a flipped bit silently, a hash does not).
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cusp.errors import CuspError
from cusp.ids import new_id

MANIFEST = "manifest.json"
PINNED = "pinned"
_NAME = re.compile(r"checkpoint-(\d+)")


class CheckpointError(CuspError, ValueError):
    """A checkpoint directory is missing, incomplete, changed or outside its root."""


@dataclass(frozen=True)
class Manifest:
    """What a complete checkpoint holds. `sha256` identifies it: the hash of the manifest's bytes."""

    checkpoint_id: str
    step: int
    files: dict[str, str]
    bytes: int
    sha256: str


def write_manifest(
    path: Path,
    step: int,
    checkpoint_id: str | None = None,
    known: Mapping[str, str] | None = None,
) -> Manifest:
    """Hash every file of the directory, then write its manifest durably, and return it.

    `known` are hashes that need not be taken again. CheckpointError when there is nothing to hash.
    """
    known = known or {}
    names = sorted(str(file.relative_to(path)) for file in files_of(path))
    if not names:
        raise CheckpointError(f"{path} holds no files; a checkpoint must be saved first")
    content = {
        "v": 1,
        "checkpoint_id": checkpoint_id or new_id(),
        "step": step,
        "files": {name: known.get(name) or _sha256(path / name) for name in names},
        "bytes": sum((path / name).stat().st_size for name in names),
    }
    temporary = path / f".{MANIFEST}.{os.getpid()}"
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True))
    _sync(temporary)
    temporary.replace(path / MANIFEST)
    _sync(path)
    return read_manifest(path)


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a complete checkpoint without hashing its files."""
    try:
        raw = (path / MANIFEST).read_bytes()
        content = json.loads(raw)
        return Manifest(
            checkpoint_id=str(content["checkpoint_id"]),
            step=int(content["step"]),
            files={str(name): str(digest) for name, digest in content["files"].items()},
            bytes=int(content["bytes"]),
            sha256=hashlib.sha256(raw).hexdigest(),
        )
    except FileNotFoundError:
        raise CheckpointError(f"{path} has no {MANIFEST}: the checkpoint is incomplete") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path / MANIFEST} cannot be read: {error!r}") from error


def verify(path: Path) -> Manifest:
    """Return the manifest after hashing every file against it; CheckpointError on any difference."""
    manifest = read_manifest(path)
    for name, digest in manifest.files.items():
        file = path / name
        if file.is_symlink() or not file.is_file():
            raise CheckpointError(f"{file} is missing from the checkpoint of step {manifest.step}")
        if (actual := _sha256(file)) != digest:
            raise CheckpointError(f"{file} has changed: sha256 is {actual}, not {digest}")
    return manifest


def pin(path: Path, into: Path) -> Path:
    """Hard-link a complete checkpoint under `into` so that no rotation can delete it; idempotent.

    Falls back to copying where the file system has no hard links. Files and folders are synced, the
    manifest comes last, so a crash leaves either nothing or a complete pinned checkpoint.
    """
    manifest = read_manifest(path)
    target = into / path.name
    if _already_pinned(target, manifest):
        return target
    part = into / f".{path.name}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    for name in [*manifest.files, MANIFEST]:
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        _link(path / name, part / name)
        _sync(part / name)
    _sync(part)
    if target.exists():  # an earlier attempt's checkpoint of the same step: kept beside, never lost
        target.rename(into / f"{path.name}-{_short_id(target)}")
    part.rename(target)
    _sync(into)
    return target


def unshare(path: Path) -> None:
    """Give every hard-linked file of the directory an inode of its own.

    A resumed training saves over the checkpoints of the abandoned branch in place; without this it
    would write through the hard link into the pinned one.
    """
    for file in files_of(path):
        if file.stat().st_nlink > 1:
            copy = file.with_name(f".{file.name}.{os.getpid()}")
            try:
                shutil.copy2(file, copy)
                copy.replace(file)
            finally:
                copy.unlink(missing_ok=True)


def abandon(path: Path) -> None:
    """Prepare a checkpoint of an abandoned branch to be saved over by a resumed training.

    Its pinned copy keeps its own files, and its manifest must not vouch for a half-written new one.
    """
    unshare(path)
    (path / MANIFEST).unlink(missing_ok=True)


def found_in(root: Path) -> list[Path]:
    """Return the complete checkpoints directly under `root`, by step."""
    if not root.is_dir():
        return []
    complete = [path for path in root.iterdir() if step_of(path) is not None and is_complete(path)]
    return sorted(complete, key=lambda path: step_of(path) or 0)


def latest(root: Path) -> Path | None:
    """Return the newest checkpoint under `root` whose files are what its manifest says, or None."""
    for path in reversed(found_in(root)):
        try:
            verify(path)
        except CheckpointError:
            continue
        return path
    return None


def step_of(path: Path) -> int | None:
    """Return the step in a `checkpoint-N` name, or None.

    >>> step_of(Path("runs/x/checkpoint-450")), step_of(Path("runs/x/notes"))
    (450, None)
    """
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def is_complete(path: Path) -> bool:
    """Return whether the directory has a readable manifest whose files are all there."""
    try:
        manifest = read_manifest(path)
    except CheckpointError:
        return False
    return all((path / name).is_file() for name in manifest.files)


def run_root(cusp_dir: Path, run_id: str) -> Path:
    """Return where a run keeps its checkpoints on this box.

    That is `runs/<run_id>` of the Cusp folder, or the folder named in its `root` file, which only a
    process on this box writes: the network has no say in it.
    """
    home = cusp_dir / "runs" / run_id
    pointer = home / "root"
    return Path(os.fsdecode(pointer.read_bytes())) if pointer.is_file() else home


def point_to_root(home: Path, root: Path) -> None:
    """Note in a run's folder that its checkpoints lie below `root`, whatever bytes its name has."""
    (home / "root").write_bytes(os.fsencode(root))


def resolve(root: Path, relative: str) -> Path:
    """Return the directory `relative` below `root`.

    Raises CheckpointError for an absolute path, a way out of the root, a symbolic link anywhere on
    the way, a NUL byte, or when there is no such directory.
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


def _already_pinned(target: Path, manifest: Manifest) -> bool:
    return is_complete(target) and read_manifest(target).sha256 == manifest.sha256


def _short_id(path: Path) -> str:
    return read_manifest(path).checkpoint_id[-6:] if is_complete(path) else new_id()[-6:]


def files_of(path: Path) -> list[Path]:
    """Return the files that belong to a checkpoint: no manifest, nothing hidden, no symbolic link."""
    return [
        file
        for file in path.rglob("*")
        if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
        if file != path / MANIFEST
    ]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
