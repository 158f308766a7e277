"""Checkpoints held against rotation, because a transition is confirmed tens of steps after it happened.

A trainer with `save_total_limit` deletes what it saved before anybody knows whether it mattered. So the
weights of every checkpoint are hard-linked into `held/<run>/` as soon as they are saved, and made copies
of their own in the background: what evaluation and promotion need, without the optimizer's state, two
thirds of the size. The room is bounded: `MOST` checkpoints and `MOST_BYTES`, of which the `NEWEST` are
kept without a gap and older ones ever thinner. Below, `folder` is that of one run.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints import paths
from cusp.checkpoints.copies import copy as copy_file
from cusp.checkpoints.copies import sha256_of
from cusp.checkpoints.manifest import CheckpointError, Manifest
from cusp.errors import NO_ROOM

HELD = "held"
MOST, NEWEST, MOST_BYTES = 40, 24, 8 << 30
# What only a training that goes on needs: of transformers, accelerate, DeepSpeed.
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
    """Return where the checkpoints of a run are held below its root."""
    return root / HELD / run_id


def reserve(path: Path, folder: Path, step: int, *, copy: bool) -> Path:
    """Link the weights of a checkpoint, or copy them, and return where they are; `seal` finishes it.

    OSError is raised, and nothing left behind, when that cannot be done.
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
    """Write the manifest of what was reserved and give it its name; return both.

    It is the same checkpoint as the `whole` one; CheckpointError when its files are others by now, or when
    `check` finds so once nobody can write to them any more. On a full disk it goes on sharing the trainer's
    files until these are deleted.
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
    shutil.rmtree(target, ignore_errors=True)  # of a branch that was given up
    part.rename(target)
    return manifest, target


def is_weights(name: str) -> bool:
    """Return whether a file of a checkpoint is none of the training's state."""
    return not name.startswith(_STATE)


def place(folder: Path, step: int) -> Path:
    """Return where the held checkpoint of a step is, if there is one."""
    return folder / f"checkpoint-{step}"


def drop(folder: Path, step: int) -> None:
    """Forget the held checkpoint of a step; nothing if there is none."""
    shutil.rmtree(place(folder, step), ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what a killed process had reserved and not finished."""
    for part in folder.glob(".checkpoint-*"):
        shutil.rmtree(part, ignore_errors=True)


def sizes(folder: Path) -> dict[int, int]:
    """Return the bytes of every held checkpoint by step."""
    found = paths.found_in(folder)
    return {
        paths.step_of(path) or 0: manifest_checkpoints.read_manifest(path).bytes for path in found
    }


def evictions(
    sizes: Mapping[int, int], most: int = MOST, newest: int = NEWEST, most_bytes: int = MOST_BYTES
) -> list[int]:
    """Return the steps to give up so that the bounds hold. The newest one always stays.

    Of those before the `newest` goes the one whose gap, without it, is smallest for its age: what is
    left lies ever thinner the older it is. Then the oldest.

    >>> left = set(range(10, 110, 10))
    >>> left - set(evictions(dict.fromkeys(left, 1), most=6, newest=3)) == {10, 50, 70, 80, 90, 100}
    True
    """
    left, gone = sorted(sizes), []
    total = sum(sizes.values())
    while len(left) > 1 and (len(left) > most or total > most_bytes):
        place = _least_missed(left, newest)
        total -= sizes[left[place]]
        gone.append(left.pop(place))
    return gone


def _least_missed(steps: list[int], newest: int) -> int:
    older = range(1, len(steps) - newest)
    if not older:
        return 0
    now = steps[-1]
    return min(older, key=lambda i: (steps[i + 1] - steps[i - 1]) / (now - steps[i]))


def _set_apart(part: Path) -> dict[str, str]:
    """Give every file an inode of its own and return the hashes; a trainer writes into the same one."""
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
    """Return the files of a checkpoint that hold no state of the training.

    Raises FileNotFoundError when there are none.
    """
    names = [str(file.relative_to(path)) for file in manifest_checkpoints.files_of(path)]
    found = [name for name in names if is_weights(name)]
    if not found:
        raise FileNotFoundError(f"{path} holds no weights")
    return found
