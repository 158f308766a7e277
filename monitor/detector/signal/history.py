"""Bounded history of the run: cumulative sums that give any mean over the last points in O(1).

Per metric and point it keeps the transformed value (NaN = not measured) and three sums over all
measured points before it: count N, total C, and total weighted by position D (for ramps).
"""

import numpy as np
from numpy.typing import NDArray

from monitor.detector import constants

Array = NDArray[np.float64]
_CAPACITY = 4 * constants.WINDOW  # a quarter is dropped at once, so that appending stays O(1)


class History:
    """The last points of `rows` metrics, at least constants.REMEMBERED of them, in constant memory.

    >>> history = History(1)
    >>> for value in (1.0, float("nan"), 3.0):
    ...     history.append([value])
    >>> history.size, history.sums(3)[0].tolist(), history.sums(3)[1].tolist()
    (3, [2.0], [4.0])
    """

    def __init__(self, rows: int) -> None:
        self.size = 0
        self.first = 0
        self.values = np.full((rows, _CAPACITY), np.nan)
        self._sums = np.zeros((3, rows, _CAPACITY + 1))
        self._now = [[0.0, 0.0, 0.0] for _ in range(rows)]
        self._steps: list[int] = []

    def append(self, values: list[float], step: int = 0) -> None:
        """Add the point of the next step."""
        at = self.size - self.first
        if at == _CAPACITY:
            self._forget()
            at = self.size - self.first
        for row, value in enumerate(values):
            now = self._now[row]
            if value == value:
                now[0] += 1.0
                now[1] += value
                now[2] += value * now[0]
                self.values[row, at] = value
            self._sums[:, row, at + 1] = now
        self._steps.append(step)
        self.size += 1

    def _forget(self) -> None:
        gone = _CAPACITY - constants.REMEMBERED
        self.values[:, : constants.REMEMBERED] = self.values[:, gone:]
        self.values[:, constants.REMEMBERED :] = np.nan
        self._sums[:, :, : constants.REMEMBERED + 1] = self._sums[:, :, gone:]
        del self._steps[:gone]
        self.first += gone

    def step(self, index: int) -> int:
        """Return the step of point `index` (the oldest remembered one for an older index)."""
        return self._steps[max(index - self.first, 0)]

    def sums(self, index: int) -> Array:
        """Return (N, C, D) of all metrics over the points before `index`."""
        return self._sums[:, :, max(index - self.first, 0)]

    def sums_at(self, indices: NDArray[np.intp]) -> Array:
        """Return (N, C, D) of all metrics before each of `indices`: shape (3, rows, len)."""
        sums: Array = self._sums.take(indices - self.first, axis=2)
        return sums

    def now(self, row: int) -> list[float]:
        """Return [N, C, D] of one metric over all points so far."""
        return self._now[row]

    def recent(self, points: int) -> Array:
        """Return the values of the last `points` points."""
        end = self.size - self.first
        return self.values[:, max(0, end - points) : end]

    def replace_row(self, row: int, values: list[float]) -> None:
        """Rewrite the remembered values of one metric, keeping the points (its scale changed)."""
        end = self.size - self.first
        self.values[row, :end] = values
        seen = np.isfinite(self.values[row, :end])
        filled = np.where(seen, self.values[row, :end], 0.0)
        count = np.cumsum(seen)
        self._sums[:, row, 0] = 0.0
        self._sums[0, row, 1 : end + 1] = count
        self._sums[1, row, 1 : end + 1] = np.cumsum(filled)
        self._sums[2, row, 1 : end + 1] = np.cumsum(filled * count)
        self._now[row] = [float(value) for value in self._sums[:, row, end]]
