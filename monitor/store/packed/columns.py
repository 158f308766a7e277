"""One series as arrays, and its bytes in a block. Pure.

A run of 50,000 steps x 20 metrics has a million points: read as rows they take 1.1 s, as blocks 30 ms.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int64]
Values = NDArray[np.float64]
Chosen = NDArray[np.bool_]
_SHORT, _LONG, _STEPS = np.dtype("<f4"), np.dtype("<f8"), np.dtype("<i8")


class Columns(NamedTuple):
    """The points of one series: arrays of one length, by rising step, at a step by rising attempt key."""

    steps: Steps
    values: Values
    attempts: Steps  # attempt keys

    def chosen(self, where: Chosen | NDArray[np.int64] | slice) -> "Columns":
        """Return the points at these places."""
        return Columns(self.steps[where], self.values[where], self.attempts[where])


class Block(NamedTuple):
    """Points of one series and attempt as they are stored.

    Their steps are `first`, `first + stride`, ...; with a stride of 0 they follow the values in `packed`.
    """

    first: int
    stride: int
    size: int
    packed: bytes


NOTHING = Columns(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))


def block_of(steps: Steps, values: Values) -> Block:
    """Return the points, at least one, by rising step, as a block; `unpacked` gives exactly the same back.

    Values that a 32-bit float holds exactly, like the shares of eight completions, take 4 bytes, others 8.

    >>> block_of(np.array([3, 5, 7]), np.array([0.5, 0.25, 1.0]))[:3]
    (3, 2, 3)
    """
    with np.errstate(over="ignore"):
        short = values.astype(_SHORT)
    packed = short.tobytes() if np.array_equal(short, values) else values.astype(_LONG).tobytes()
    gaps = np.diff(steps)
    stride = int(gaps[0]) if len(gaps) else 1
    if (gaps != stride).any():
        return Block(int(steps[0]), 0, len(steps), packed + steps.astype(_STEPS).tobytes())
    return Block(int(steps[0]), stride, len(steps), packed)


def unpacked(block: Block) -> tuple[Steps, Values]:
    """Return the steps and values of a block."""
    first, stride, size, packed = block
    if stride:
        steps, wide = first + stride * np.arange(size, dtype=np.int64), len(packed) // size
    else:
        wide = len(packed) // size - _STEPS.itemsize
        steps = np.frombuffer(packed, _STEPS, size, offset=wide * size).astype(np.int64)
    kind = _SHORT if wide == _SHORT.itemsize else _LONG
    return steps, np.frombuffer(packed, kind, size).astype(np.float64)


def of_block(block: Block, key: int) -> Columns:
    """Return the points of a block of the attempt with this key."""
    steps, values = unpacked(block)
    return Columns(steps, values, np.full(len(steps), key, np.int64))


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the points of all parts in one, in order; of two of one step and attempt the later part's.

    >>> one = Columns(np.array([1, 2]), np.array([0.1, 0.2]), np.array([0, 0]))
    >>> joined([one, one.chosen([1])._replace(values=np.array([0.5]))]).values.tolist()
    [0.1, 0.5]
    """
    found = Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if _rising(found).all():
        return found
    found = found.chosen(
        np.lexsort((found.attempts, found.steps))
    )  # stable: the later part stays behind
    return found.chosen(np.append(_rising(found), True))


def _rising(found: Columns) -> Chosen:
    """Return of each point but the last whether the next one is of another step or attempt, and later."""
    before, after, keys = found.steps[:-1], found.steps[1:], found.attempts
    return np.asarray((before < after) | ((before == after) & (keys[:-1] < keys[1:])))


def of_rows(rows: Sequence[Sequence[float]]) -> Columns:
    """Return (step, attempt key, value) rows as columns."""
    steps, keys, values = ([row[place] for row in rows] for place in range(3))
    return Columns(
        np.array(steps, np.int64), np.array(values, np.float64), np.array(keys, np.int64)
    )


def within(found: Columns, since: int, until: int) -> Columns:
    """Return the points from one step to another, both included."""
    low, high = np.searchsorted(found.steps, [since, until + 1])
    if (low, high) == (0, len(found.steps)):
        return found
    return found.chosen(slice(low, high))


def counting(found: Columns, cuts: Mapping[int, int]) -> Chosen:
    """Return which of the points count: those of each attempt before its cut."""
    result = np.ones(len(found.steps), dtype=np.bool_)
    for key in _keys(found.attempts):
        result &= (found.attempts != key) | (found.steps < cuts.get(key, 0))
    return result


def _keys(attempts: Steps) -> Iterable[int]:
    """Return the different attempt keys, mostly a single one."""
    if not len(attempts):
        return ()
    if (attempts == attempts[0]).all():
        return (int(attempts[0]),)
    keys: list[int] = np.unique(attempts).tolist()
    return keys
