"""Where a checkpoint of a run lies on this box, and whether its files are what was registered.

What the monitor names is only where to look first: this box decides, by the hashes in its own files.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cusp import checkpoints, held, locks, pinned
from cusp.checkpoints import CheckpointError, Manifest, UnreadableError

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


def message(root: Path, manifest: Manifest, path: Path, state: State) -> dict[str, object]:
    """Return the wire's message on a checkpoint of the run that is trained below `root`."""
    return {
        "kind": "checkpoint",
        "checkpoint_id": manifest.checkpoint_id,
        "step": manifest.step,
        "path": path.relative_to(root).as_posix(),
        "sha256": manifest.sha256,
        "bytes": manifest.bytes,
        "state": state,
    }


def instead(
    root: Path, run_id: str, manifest: Manifest, path: Path
) -> tuple[Manifest, Path, State]:
    """Return where a checkpoint is, hashed, that is not at `path` any more; or that it is gone."""
    for found, place, state in copies(root, run_id, manifest.checkpoint_id):
        with contextlib.suppress(UnreadableError):
            if place != path and (now := verified(place)) and now.sha256 == found.sha256:
                return found, place, state
    kept = path.parent == pinned.folder(root, run_id) and path.is_dir()
    return manifest, path, "corrupt" if kept else "missing"


def verified(path: Path) -> Manifest | None:
    """Return the manifest if the files are what it says, by their hashes, else None.

    UnreadableError where that cannot be told now.
    """
    try:
        return checkpoints.verify(path)
    except UnreadableError:
        raise
    except (CheckpointError, OSError):
        return None


def copies(root: Path, run_id: str, checkpoint_id: str) -> Iterator[tuple[Manifest, Path, State]]:
    """Yield the complete folders with a checkpoint of a run: the kept one first, then the held one.

    They are not hashed here.
    """
    for folder, state in (
        (pinned.folder(root, run_id), "pinned"),
        (held.folder(root, run_id), "present"),
        (root, "present"),
    ):
        for path in checkpoints.found_in(folder):
            manifest = checkpoints.read_manifest(path)
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
    root = checkpoints.run_root(directory, run_id)
    wrong, broken, readable = "", False, True
    for path, state in _tried(root, run_id, registered):
        try:
            if keep and state == "present":
                path, state = pinned.pin(path, pinned.folder(root, run_id)), "pinned"
            else:
                checkpoints.verify(path)
        except CheckpointError as error:
            wrong = wrong or str(error)
            readable = readable and not isinstance(error, UnreadableError)
            broken = broken or path.parent != root  # nobody saves over a place that is ours
            continue
        below = path.relative_to(root).as_posix()
        return Finding(state, below, str(registered["sha256"]), place=path)
    home = directory / "runs" / run_id
    sure = readable and (home / "attempts").is_dir() and not locks.is_locked(home / "lock")
    words = wrong or _why_missing(root, registered)
    said = (str(registered["path"]), str(registered["sha256"]), words)
    return Finding("corrupt" if broken else "missing", *said, sure=sure)


def _tried(root: Path, run_id: str, registered: Mapping[str, Any]) -> Iterator[tuple[Path, State]]:
    """Yield the folders whose manifest is the registered one; the hash decides, not the id or path."""
    for manifest, path, state in copies(root, run_id, str(registered["id"])):
        if manifest.sha256 == registered["sha256"]:
            yield path, state
    try:  # where it was told to be, for a folder whose name says no step
        path = checkpoints.resolve(root, str(registered["path"]))
        if checkpoints.read_manifest(path).sha256 == registered["sha256"]:
            yield path, "pinned" if path.parent.parent == root / pinned.PINNED else "present"
    except CheckpointError:
        return


def _why_missing(root: Path, registered: Mapping[str, Any]) -> str:
    step, path = registered["step"], registered["path"]
    try:
        there = checkpoints.resolve(root, str(path))
        now = checkpoints.read_manifest(there)
    except CheckpointError as error:
        return f"the checkpoint of step {step} is not on this box any more: {error}"
    whose = f" of run {now.run_id}" if now.run_id else ""
    return (
        f"the checkpoint of step {step} was saved over: {there} holds another one now"
        f" (step {now.step}{whose})"
    )
