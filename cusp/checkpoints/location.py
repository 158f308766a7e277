"""Where a checkpoint of a run lies on this box, and whether its files are what was registered.

What the monitor names is only where to look first: this box decides, by the hashes in its own files.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints import paths, pinning, rotation
from cusp.checkpoints.manifest import CheckpointError, Manifest, UnreadableError
from cusp.process import file_lock

State = Literal["present", "pinned", "missing", "corrupt"]


@dataclass(frozen=True)
class Finding:
    """What a look on this box has found. `words` say why it is missing or corrupt.

    `place` is the whole checkpoint's folder, `path` the same below the run's root. A look that finds
    nothing is not `sure` while a process trains the run, which knows better, or where it never was.
    """

    state: State
    path: str
    sha256: str
    words: str = ""
    place: Path | None = None
    sure: bool = True

    @property
    def report(self) -> dict[str, Any]:
        """The finding as the monitor takes it."""
        return {"state": self.state, "path": self.path, "sha256": self.sha256}


def message(
    roots: Sequence[Path], manifest: Manifest, path: Path, state: State
) -> dict[str, object]:
    """Return the wire's message on a checkpoint below one of the run's roots, the one of now first."""
    return {
        "kind": "checkpoint",
        "checkpoint_id": manifest.checkpoint_id,
        "step": manifest.step,
        "path": below(roots, path),
        "sha256": manifest.sha256,
        "bytes": manifest.bytes,
        "state": state,
    }


def below(roots: Sequence[Path], path: Path) -> str:
    """Return the path below the first of the roots that holds it."""
    root = next((each for each in roots if path.is_relative_to(each)), roots[0])
    return path.relative_to(root).as_posix()


def instead(
    roots: Sequence[Path], run_id: str, manifest: Manifest, path: Path
) -> tuple[Manifest, Path, State]:
    """Return where a checkpoint is, hashed, that is not at `path` any more; or that it is gone."""
    for found, place, state in copies(roots, run_id, manifest.checkpoint_id):
        with contextlib.suppress(UnreadableError):
            if place != path and (now := verified(place)) and now.sha256 == found.sha256:
                return found, place, state
    kept = path.parent in [pinning.folder(root, run_id) for root in roots] and path.is_dir()
    return manifest, path, "corrupt" if kept else "missing"


def verified(path: Path) -> Manifest | None:
    """Return the manifest if the files are what it says, by their hashes, else None.

    UnreadableError where that cannot be told now.
    """
    try:
        return manifest_checkpoints.verify(path)
    except UnreadableError:
        raise
    except (CheckpointError, OSError):
        return None


def copies(
    roots: Sequence[Path], run_id: str, checkpoint_id: str
) -> Iterator[tuple[Manifest, Path, State]]:
    """Yield the complete folders with a checkpoint of a run: the kept one first, then the held one.

    They are not hashed here.
    """
    for folder, state in (
        *((pinning.folder(root, run_id), "pinned") for root in roots),
        *((rotation.folder(root, run_id), "present") for root in roots),
        *((root, "present") for root in roots),
    ):
        for path in paths.found_in(folder):
            manifest = manifest_checkpoints.read_manifest(path)
            if manifest.checkpoint_id == checkpoint_id:
                yield manifest, path, "pinned" if state == "pinned" else "present"


def look(
    directory: Path, run_id: str, registered: Mapping[str, Any], *, keep: bool = False
) -> Finding | None:
    """Hash a checkpoint that the monitor has registered (`id`, `step`, `path`, `sha256`).

    None when this box has no folder of the run. With `keep` a whole one is given a place of its own
    (`pinned.py`); OSError when there is no room for it.
    """
    if not (directory / "runs" / run_id).is_dir():
        return None
    home = directory / "runs" / run_id
    roots = paths.roots(home)
    wrong, broken, readable = "", False, True
    for path, state in _tried(roots, run_id, registered):
        try:
            if keep and state == "present":
                path, state = pinning.pin(path, pinning.folder(roots[0], run_id)), "pinned"
            else:
                manifest_checkpoints.verify(path)
        except CheckpointError as error:
            wrong = wrong or str(error)
            readable = readable and not isinstance(error, UnreadableError)
            broken = broken or path.parent not in roots  # nobody saves over a place that is ours
            continue
        return Finding(state, below(roots, path), str(registered["sha256"]), place=path)
    sure = readable and (home / "attempts").is_dir() and not file_lock.is_locked(home / "lock")
    words = wrong or _why_missing(roots[0], registered)
    said = (str(registered["path"]), str(registered["sha256"]), words)
    return Finding("corrupt" if broken else "missing", *said, sure=sure)


def _tried(
    roots: Sequence[Path], run_id: str, registered: Mapping[str, Any]
) -> Iterator[tuple[Path, State]]:
    """Yield the folders whose manifest is the registered one; the hash decides, not the id or path."""
    for manifest, path, state in copies(roots, run_id, str(registered["id"])):
        if manifest.sha256 == registered["sha256"]:
            yield path, state
    for root in roots:  # where it was told to be, for a folder whose name says no step
        with contextlib.suppress(CheckpointError):
            path = paths.resolve(root, str(registered["path"]))
            if manifest_checkpoints.read_manifest(path).sha256 == registered["sha256"]:
                yield path, "pinned" if path.parent.parent == root / pinning.PINNED else "present"


def _why_missing(root: Path, registered: Mapping[str, Any]) -> str:
    step, path = registered["step"], registered["path"]
    try:
        there = paths.resolve(root, str(path))
        now = manifest_checkpoints.read_manifest(there)
    except CheckpointError as error:
        return f"the checkpoint of step {step} is not on this box any more: {error}"
    whose = f" of run {now.run_id}" if now.run_id else ""
    return (
        f"the checkpoint of step {step} was saved over: {there} holds another one now"
        f" (step {now.step}{whose})"
    )
