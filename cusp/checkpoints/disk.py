"""Room for the next save: an estimate of its size, and the sentence that refuses it before the disk is full.

A save that finds the disk full ends a training with an exception and leaves half a checkpoint; one that is
left out costs a checkpoint.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

BUDGET = "CUSP_DISK_BUDGET"
GROWTH = 1.05  # optimizer and trainer state grow a little from save to save
SPARE = 32 << 20  # beside a save: the spool and the logs of the training
# Bytes a trained parameter: float32 weights, and two moments of Adam.
_WEIGHTS, _MOMENTS = 4, 8


def expected(trainable: int, *, weights_only: bool) -> int:
    """Return the estimated bytes of a first save: float32 weights, and Adam's moments unless `weights_only`."""
    return trainable * (_WEIGHTS if weights_only else _WEIGHTS + _MOMENTS)


def next_size(last: Sequence[int], first: int) -> int:
    """Return the estimated bytes of the next save, from the last ones or the estimate of the `first`."""
    return int(max(last[-3:], default=first) * GROWTH)


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder; each hard-linked file counts once."""
    found = {}
    for file in folder.rglob("*") if folder.is_dir() else ():
        try:
            stat = file.lstat()
        except OSError:  # deleted meanwhile
            continue
        if file.is_file() and not file.is_symlink():
            found[(stat.st_dev, stat.st_ino)] = stat.st_size
    return sum(found.values())


def refusal(root: Path, needed: int, used: int, budget: int | None) -> str | None:
    """Return why a save of `needed` bytes below `root` should be left out, None if there is room.

    `used` are the bytes of the run's checkpoints now. Where the disk cannot be asked, there is room.
    """
    if budget is not None and used + needed > budget:
        return (
            f"the checkpoints take {_gib(used)} of the {_gib(budget)} of {BUDGET}, none of them can be spared,"
            f" and the next one takes {_gib(needed)}: raise it, or delete some"
        )
    left = free(root)
    if left is not None and left < needed + SPARE:
        return (
            f"the disk of {root} has {_gib(left)} left, and a checkpoint takes {_gib(needed)}: make room, or set"
            f" {BUDGET}, so that older ones go in time"
        )
    return None


def free(root: Path) -> int | None:
    """Return the free bytes of the disk that a folder is or will be on, None where it cannot be asked."""
    try:
        there = next(each for each in (root, *root.parents) if each.exists())
        return shutil.disk_usage(there).free
    except (OSError, StopIteration):
        return None


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 10 << 20 else f"{size / 2**20:.2f} MiB"
