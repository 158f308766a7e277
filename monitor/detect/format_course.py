"""Where format stands: still being learnt, or settled.

A smoothed level remembers its last new high; when none came for a while the rise is over.
"""

import math

_SMOOTH = 0.12
_NEW_HIGH = 0.08
_QUIET_POINTS = 24


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
        self.high = -math.inf
        self.high_at = 0

    def add(self, index: int, value: float, unit: float) -> None:
        """Take one value; a high counts as new when it exceeds the last by 0.08 `unit`."""
        self.value = value if self.value is None else self.value + _SMOOTH * (value - self.value)
        if self.value > self.high + _NEW_HIGH * unit:
            self.high, self.high_at = self.value, index

    def settled(self, size: int) -> bool:
        """Return whether no new high came for a while (longer, the longer the rise took)."""
        return size - self.high_at >= max(_QUIET_POINTS, self.high_at // 8)
