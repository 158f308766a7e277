"""Checkpoints held against rotation, because a transition is confirmed tens of steps after it happened.

A trainer with `save_total_limit` deletes what it saved before anybody knows whether it mattered. So the
weights of every checkpoint are hard-linked into `held/` as soon as they are saved: what evaluation and
promotion need, without the optimizer's state, two thirds of the size. The room is bounded: `MOST`
checkpoints and `MOST_BYTES`, of which the `NEWEST` are kept without a gap and older ones ever thinner.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from cusp import checkpoints
from cusp.checkpoints import Manifest

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


def reserve(path: Path, root: Path, step: int, *, copy: bool) -> Path:
    """Link the weights of a checkpoint, or copy them, and return where they are; `seal` finishes it.

    OSError is raised, and nothing left behind, when that cannot be done.
    """
    part = root / HELD / f".checkpoint-{step}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for name in _weights(path):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copy2 if copy else os.link)(path / name, part / name)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return part


def seal(part: Path, step: int, whole: Manifest | None) -> tuple[Manifest, Path]:
    """Write the manifest of what was reserved and give it its name; return both.

    It is the same checkpoint as the `whole` one, whose hashes are used; without one it is hashed here.
    """
    target = part.parent / f"checkpoint-{step}"
    manifest = checkpoints.write_manifest(
        part, step, whole.checkpoint_id if whole else None, whole.files if whole else {}
    )
    shutil.rmtree(target, ignore_errors=True)  # of a branch that was given up
    part.rename(target)
    return manifest, target


def place(root: Path, step: int) -> Path:
    """Return where the held checkpoint of a step is, if there is one."""
    return root / HELD / f"checkpoint-{step}"


def drop(root: Path, step: int) -> None:
    """Forget the held checkpoint of a step; nothing if there is none."""
    shutil.rmtree(place(root, step), ignore_errors=True)


def clear(root: Path) -> None:
    """Remove what a killed process had reserved and not finished."""
    for part in (root / HELD).glob(".checkpoint-*"):
        shutil.rmtree(part, ignore_errors=True)


def sizes(root: Path) -> dict[int, int]:
    """Return the bytes of every held checkpoint by step."""
    found = checkpoints.found_in(root / HELD)
    return {checkpoints.step_of(path) or 0: checkpoints.read_manifest(path).bytes for path in found}


def surplus(
    sizes: Mapping[int, int], most: int = MOST, newest: int = NEWEST, most_bytes: int = MOST_BYTES
) -> list[int]:
    """Return the steps to give up so that the bounds hold. The newest one always stays.

    Of those before the `newest` goes the one whose gap, without it, is smallest for its age: what is
    left lies ever thinner the older it is. Then the oldest.

    >>> left = set(range(10, 110, 10))
    >>> left - set(surplus(dict.fromkeys(left, 1), most=6, newest=3)) == {10, 50, 70, 80, 90, 100}
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


def _weights(path: Path) -> list[str]:
    """Return the files of a checkpoint that hold no state of the training.

    Raises FileNotFoundError when there are none.
    """
    names = [str(file.relative_to(path)) for file in checkpoints.files_of(path)]
    found = [name for name in names if not name.startswith(_STATE)]
    if not found:
        raise FileNotFoundError(f"{path} holds no weights")
    return found
