"""Locates and verifies a run's checkpoints on this box.

The path that the monitor names is only a hint: the hashes in this box's own manifests decide.
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
    """Result of `look`. `words` say why the checkpoint is missing or corrupt.

    `place` is the intact checkpoint's folder, `path` the same relative to the run's root. A negative
    result is not `sure` while another process trains the run, nor where the checkpoint never lay.
    """

    state: State
    path: str
    sha256: str
    words: str = ""
    place: Path | None = None
    sure: bool = True

    @property
    def report(self) -> dict[str, Any]:
        """Return the finding as the JSON body for the monitor."""
        return {"state": self.state, "path": self.path, "sha256": self.sha256}


def message(
    roots: Sequence[Path], manifest: Manifest, path: Path, state: State
) -> dict[str, object]:
    """Return the checkpoint message for a folder below one of the run's roots (current root first)."""
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
    """Return the path relative to the first of the roots that contains it."""
    root = next((each for each in roots if path.is_relative_to(each)), roots[0])
    return path.relative_to(root).as_posix()


def other_copy(
    roots: Sequence[Path], run_id: str, manifest: Manifest, path: Path
) -> tuple[Manifest, Path, State]:
    """Return another verified copy of a checkpoint lost at `path`; else `path`, missing or corrupt."""
    for found, place, state in copies(roots, run_id, manifest.checkpoint_id):
        with contextlib.suppress(UnreadableError):
            if place != path and (now := verified(place)) and now.sha256 == found.sha256:
                return found, place, state
    kept = path.parent in [pinning.folder(root, run_id) for root in roots] and path.is_dir()
    return manifest, path, "corrupt" if kept else "missing"


def verified(path: Path) -> Manifest | None:
    """Return the manifest if every file matches its hash, else None.

    UnreadableError when a file cannot be read at the moment.
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
    """Yield the complete copies of a checkpoint: the kept one first, then the held one. Not hashed here."""
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
    """Find and hash a checkpoint that the monitor has registered (`id`, `step`, `path`, `sha256`).

    None when this box has no folder of the run. With `keep` an intact one is pinned (`pinning.py`);
    OSError when the disk has no room for the copy.
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
            broken = broken or path.parent not in roots  # no trainer saves over a folder of ours
            continue
        return Finding(state, below(roots, path), str(registered["sha256"]), place=path)
    sure = readable and (home / "attempts").is_dir() and not file_lock.is_locked(home / "lock")
    words = wrong or _why_missing(roots[0], registered)
    said = (str(registered["path"]), str(registered["sha256"]), words)
    return Finding("corrupt" if broken else "missing", *said, sure=sure)


def _tried(
    roots: Sequence[Path], run_id: str, registered: Mapping[str, Any]
) -> Iterator[tuple[Path, State]]:
    """Yield the folders whose manifest has the registered hash, whatever their id or path."""
    for manifest, path, state in copies(roots, run_id, str(registered["id"])):
        if manifest.sha256 == registered["sha256"]:
            yield path, state
    for root in roots:  # the registered path, for a folder whose name has no step
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
