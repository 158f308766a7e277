"""Cost of a segment for ruptures: the squared residuals of one straight line a column, in constant time from sums.

ruptures' own `linear` cost solves a least-squares problem a segment and takes one column; `clinear` joins
noisy observations at the breakpoints. Imported only where a run is segmented: ruptures takes a second to import.
"""

from collections.abc import Sequence

import numpy as np
import ruptures
from ruptures.base import BaseCost

from monitor.detector.signal.history import Array


class TrendCost(BaseCost):  # type: ignore[misc]  # ruptures has no types
    """Sum over the columns of the weighted residual sum of squares of a line on `[start, end)`.

    The signal has the values in its first half of columns and their weights (1 / variance) in the second.

    >>> rising = np.column_stack([np.arange(20.0), np.ones(20)])
    >>> abs(round(TrendCost().fit(rising).error(3, 15), 6))
    0.0
    """

    model = "trend"
    min_size = 3

    def fit(self, signal: Array) -> "TrendCost":
        """Prepare the sums of a signal of shape (points, 2 x columns)."""
        self.signal = signal
        values, weights = np.split(signal, 2, axis=1)
        index = np.linspace(-1.0, 1.0, len(signal))[:, None]  # centred: the sums stay exact
        parts = (weights, weights * index, weights * index * index, weights * values,
                 weights * index * values, weights * values * values)  # fmt: skip
        sums = np.cumsum(np.stack(parts), axis=1)
        self._sums = np.concatenate([np.zeros_like(sums[:, :1]), sums], axis=1)
        return self

    def error(self, start: int, end: int) -> float:
        """Return the cost of the points from `start` to before `end`."""
        w, wx, wxx, wy, wxy, wyy = self._sums[:, end] - self._sums[:, start]
        spread = wxx - wx * wx / w
        together = wxy - wx * wy / w
        return float(np.sum(wyy - wy * wy / w - together * together / np.maximum(spread, 1e-12)))


def segment_ends(values: Array, noise: Array, penalty: float, least: int) -> Sequence[int]:
    """Return the ends of the segments that minimise cost plus `penalty` a segment, the last one the number of points.

    `noise` has the sd of each of the `values`. PELT (Killick, Fearnhead, Eckley 2012, JASA 107): exact.
    """
    search = ruptures.Pelt(custom_cost=TrendCost(), min_size=least, jump=1)
    found: list[int] = search.fit(np.hstack([values, 1 / noise**2])).predict(pen=penalty)
    return found
