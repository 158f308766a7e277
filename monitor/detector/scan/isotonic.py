"""Isotonic regression online (pool adjacent violators), whose last block is the present level.

The null hypothesis "this metric only ever moved in one direction, in any manner" is fitted online; the
reference stretch of every contrast begins at the start of the last block. So warm-up, rises, plateaus and
valleys need no window parameter. Amortised O(1) a point.

Reference: Ayer et al. (1955), An empirical distribution function for sampling with incomplete
information, Ann. Math. Statist. 26, 641-647.
"""

from typing import NamedTuple

_MOST_BLOCKS = 2048  # bounds memory: as many as remembered points (history.py)


class Position(NamedTuple):
    """A position: index of a point, and the sums (N, C, D) of one metric before it."""

    point: int
    measured: float
    total: float
    weighted: float


class Isotonic:
    """The monotone fit of one metric; `direction` +1 fits a falling mean, -1 a rising one.

    A rise after a fall pools back to where the level was last as high:

    >>> fit, total = Isotonic(+1), 0.0
    >>> for index, value in enumerate([5.0, 3.0, 1.0, 2.0, 2.0]):
    ...     fit.add(Position(index, index, total, 0.0), index + 1, total + value)
    ...     total += value
    >>> fit.start.point
    2
    """

    def __init__(self, direction: int) -> None:
        self._direction = direction
        self._blocks: list[Position] = []

    @property
    def start(self) -> Position:
        """Start of the last block."""
        return self._blocks[-1]

    def start_of(self, least: float, measured: float) -> Position:
        """Return the start of the last block that holds at least `least` of the `measured` points.

        A few good points at the end form a block of their own, which is no level to compare with.
        """
        for block in reversed(self._blocks):
            if measured - block.measured >= least:
                return block
        return self._blocks[0]

    @property
    def empty(self) -> bool:
        """Whether no point was added yet."""
        return not self._blocks

    def add(self, before: Position, count: float, total: float) -> None:
        """Add one point: the position before it and the sums after it."""
        blocks, sign = self._blocks, self._direction
        blocks.append(before)
        while len(blocks) > 1:
            last, previous = blocks[-1], blocks[-2]
            mean = (total - last.total) / (count - last.measured)
            earlier = (last.total - previous.total) / (last.measured - previous.measured)
            if sign * earlier > sign * mean:
                break
            blocks.pop()
        if len(blocks) > _MOST_BLOCKS:
            del blocks[: _MOST_BLOCKS // 2]
