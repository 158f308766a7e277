"""Retention: holds checkpoints against rotation, as a transition is confirmed tens of steps late.

A trainer with `save_total_limit` deletes checkpoints before it is known whether they matter. So the weights
of every checkpoint are hard-linked into `held/<run>/` as soon as they are saved, and copied in the
background: enough for evaluation and promotion, without the optimizer's state (two thirds of the size).
Bounds: `MOST` checkpoints and `MOST_BYTES`; the `NEWEST` are kept without a gap, older ones ever more
sparsely. Below, `folder` is that of one run.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints import paths
from cusp.checkpoints.copies import copy as copy_file
from cusp.checkpoints.copies import sha256_of
from cusp.checkpoints.manifest import CheckpointError, Manifest
from cusp.errors import NO_ROOM

HELD = "held"
MOST, NEWEST, MOST_BYTES = 40, 24, 8 << 30
NEEDED_AFTER = MOST - NEWEST - 3  # with the first one, the last before it and a new one: MOST
# Files that only resuming needs, as transformers, accelerate and DeepSpeed name them.
_STATE = (
    "optimizer",
    "scheduler",
    "rng_state",
    "scaler",
    "trainer_state",
    "training_args",
    "global_step",
    "latest",
)


def folder(root: Path, run_id: str) -> Path:
    """Return the folder of a run's held checkpoints below its root."""
    return root / HELD / run_id


def reserve(path: Path, folder: Path, step: int, *, copy: bool) -> Path:
    """Link or copy the weights of a checkpoint and return the unfinished folder; `seal` completes it.

    Raises OSError, and leaves nothing behind, when that fails.
    """
    part = folder / f".checkpoint-{step}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for name in _weights(path):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (copy_file if copy else os.link)(path / name, part / name)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return part


def seal(
    part: Path,
    step: int,
    whole: Manifest | None,
    run_id: str | None = None,
    check: Callable[[Path], None] = lambda part: None,
) -> tuple[Manifest, Path]:
    """Write the manifest of a reserved folder and give it its final name; return both.

    It is the same checkpoint as the `whole` one. Raises CheckpointError when its files differ from that, or
    when `check` finds a change once the files are no longer shared. On a full disk it keeps sharing the
    trainer's files until these are deleted.
    """
    target = part.parent / f"checkpoint-{step}"
    known = _set_apart(part)
    try:
        check(part)
    except CheckpointError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if whole is not None and any(whole.files[name] != known[name] for name in known):
        shutil.rmtree(part, ignore_errors=True)
        raise CheckpointError(f"the checkpoint of step {step} was saved over while it was held")
    manifest = manifest_checkpoints.write_manifest(
        part, step, whole.checkpoint_id if whole else None, known, whole.run_id if whole else run_id
    )
    shutil.rmtree(target, ignore_errors=True)  # of an abandoned branch
    part.rename(target)
    return manifest, target


def is_weights(name: str) -> bool:
    """Return whether a file of a checkpoint is not part of the training state."""
    return not name.startswith(_STATE)


def place(folder: Path, step: int) -> Path:
    """Return the path of the held checkpoint of a step; it need not exist."""
    return folder / f"checkpoint-{step}"


def drop(folder: Path, step: int) -> None:
    """Delete the held checkpoint of a step, if there is one."""
    shutil.rmtree(place(folder, step), ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove the unfinished reservations of a killed process."""
    for part in folder.glob(".checkpoint-*"):
        shutil.rmtree(part, ignore_errors=True)


def sizes(folder: Path) -> dict[int, int]:
    """Return the bytes of every held checkpoint by step."""
    found = paths.found_in(folder)
    return {
        paths.step_of(path) or 0: manifest_checkpoints.read_manifest(path).bytes for path in found
    }


def evictions(
    sizes: Mapping[int, int],
    most: int = MOST,
    newest: int = NEWEST,
    most_bytes: int = MOST_BYTES,
    spared: Collection[int] = (),
) -> list[int]:
    """Return the steps to evict so that the bounds hold. The newest one and the `spared` always stay.

    Before the `newest` ones, the step whose removal leaves the smallest gap relative to its age goes first,
    so spacing grows with age. Then the oldest.

    >>> left = set(range(10, 110, 10))
    >>> left - set(evictions(dict.fromkeys(left, 1), most=6, newest=3)) == {10, 50, 70, 80, 90, 100}
    True
    """
    left, gone = sorted(sizes), []
    total = sum(sizes.values())
    while len(left) > 1 and (len(left) > most or total > most_bytes):
        place = _least_missed(left, newest, spared)
        if place is None:
            break
        total -= sizes[left[place]]
        gone.append(left.pop(place))
    return gone


def needed(steps: Iterable[int], since: int | None) -> set[int]:
    """Return the steps that a suspected transition may still need; none without a suspicion.

    `since` is the last step that is surely from before it: the last checkpoint up to there, and the first ones
    after it, as its date may still move: so many that all bounds hold, however long the suspicion lasts.

    >>> sorted(needed([10, 20, 30, 40], 25))
    [20, 30, 40]
    """
    if since is None:
        return set()
    ordered = sorted(steps)
    before = [step for step in ordered if step <= since]
    after = [step for step in ordered if step > since]
    return {max(before, default=since), *after[:NEEDED_AFTER]}


def _least_missed(steps: list[int], newest: int, spared: Collection[int]) -> int | None:
    older = [i for i in range(1, len(steps) - newest) if steps[i] not in spared]
    if not older:
        return next((i for i in range(len(steps) - 1) if steps[i] not in spared), None)
    now = steps[-1]
    return min(older, key=lambda i: (steps[i + 1] - steps[i - 1]) / (now - steps[i]))


def _set_apart(part: Path) -> dict[str, str]:
    """Replace the hard links by copies and return their hashes; a trainer writes into a shared inode."""
    known = {}
    for file in manifest_checkpoints.files_of(part):
        name = str(file.relative_to(part))
        own = file.with_name(f".{file.name}.own")
        try:
            if file.stat().st_nlink > 1:
                known[name] = copy_file(file, own)
                own.replace(file)
                continue
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        known[name] = sha256_of(file)
    return known


def _weights(path: Path) -> list[str]:
    """Return the weight files of a checkpoint; FileNotFoundError when there are none."""
    found = [name for name, _ in manifest_checkpoints.entries_of(path, is_weights)]
    if not found:
        raise FileNotFoundError(f"{path} holds no weights")
    return found
