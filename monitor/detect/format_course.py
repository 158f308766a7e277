"""Where format stands: still being learnt or settled, and when it rose.

A smoothed level remembers its last new high; when none came for a while the rise is over, and it is
dated on the remembered values: its onset where a centred mean of 9 points crosses the middle between
the level before and the level now, its saturation where it crosses 90 %.
"""

from typing import NamedTuple

import numpy as np

from monitor.detect.history import Array

_SMOOTH = 0.12
_NEW_HIGH = 0.08
_QUIET_POINTS = 24
_MEAN_OF = 9


class FormatLevel:
    """Smoothed level, its highest value, and the point at which that was reached.

    >>> level = FormatLevel()
    >>> for index in range(40):
    ...     level.add(index, min(index, 20) / 20, unit=1.0)
    >>> level.settled(40), level.high_at < 40
    (False, True)
    >>> level.settled(90)
    True
    """

    def __init__(self) -> None:
        self.value: float | None = None
        self.high = -np.inf
        self.high_at = 0

    def add(self, index: int, value: float, unit: float) -> None:
        """Take one value; a high counts as new when it exceeds the last by 0.08 `unit`."""
        self.value = value if self.value is None else self.value + _SMOOTH * (value - self.value)
        if self.value > self.high + _NEW_HIGH * unit:
            self.high, self.high_at = self.value, index

    def settled(self, size: int) -> bool:
        """Return whether no new high came for a while (longer, the longer the rise took)."""
        return size - self.high_at >= max(_QUIET_POINTS, self.high_at // 8)


class Crossing(NamedTuple):
    """Indices at which the rise crossed one share of its height, with an interval."""

    at: int
    low: int
    high: int

    def after(self, points: int) -> "Crossing":
        """Return the crossing counted from `points` earlier."""
        return Crossing(self.at + points, self.low + points, self.high + points)


class Rise(NamedTuple):
    """One rise of format: its middle (onset), its end (saturation), and its height."""

    onset: Crossing
    saturation: Crossing
    height: float


def rise_in(values: Array, settled_from: int) -> Rise | None:
    """Return the rise in `values` (NaN = not measured) that ended before index `settled_from`.

    >>> rise = rise_in(np.clip((np.arange(120.0) - 40) / 20, 0, 1), 80)
    >>> rise.onset.at, rise.saturation.at
    (49, 58)
    """
    smooth = _centred_mean(values)
    top = float(np.nanmean(values[settled_from:]))
    lowest = int(np.argmin(smooth[: settled_from + 1]))
    height = top - float(smooth[lowest])
    if not height > 0:
        return None

    def crosses(share: float) -> int:
        """Return the last index below this share of the height, before the settled part."""
        below = np.nonzero(smooth[: settled_from + 1] < smooth[lowest] + share * height)[0]
        return int(below[-1]) if len(below) else lowest

    onset = Crossing(crosses(0.5), crosses(0.25), crosses(0.75))
    return Rise(
        onset, Crossing(crosses(0.9), crosses(0.75), max(crosses(0.97), crosses(0.9))), height
    )


def _centred_mean(values: Array) -> Array:
    seen = np.isfinite(values)
    kernel = np.ones(_MEAN_OF)
    total = np.convolve(np.where(seen, values, 0.0), kernel, "same")
    count = np.convolve(seen.astype(np.float64), kernel, "same")
    mean: Array = total / np.maximum(count, 1.0)
    mean[count == 0] = np.inf
    return mean
