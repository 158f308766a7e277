"""Is format still being learnt? Follows the smoothed format reward and remembers its last new high."""

from dataclasses import dataclass

_SMOOTH = 0.12
_NEW_HIGH = 0.08
_QUIET_POINTS = 24


@dataclass
class FormatLevel:
    """Smoothed level, its highest value, and the point at which that was reached.

    >>> level = FormatLevel()
    >>> for index in range(40):
    ...     level.add(index, min(index, 20) / 20, step=0.08)
    >>> level.settled(40), level.high_at < 40
    (False, True)
    >>> level.settled(90)
    True
    """

    value: float | None = None
    high: float = -1e9
    high_at: int = 0

    def add(self, index: int, value: float, step: float = _NEW_HIGH) -> None:
        """Take one value; a high counts as new when it exceeds the last by `step`."""
        self.value = value if self.value is None else self.value + _SMOOTH * (value - self.value)
        if self.value > self.high + step:
            self.high, self.high_at = self.value, index

    def settled(self, size: int) -> bool:
        """Return whether no new high came for a while (longer, the longer the rise took)."""
        return size - self.high_at >= max(_QUIET_POINTS, self.high_at // 8)
