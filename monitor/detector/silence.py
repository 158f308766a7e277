"""Rule for a policy that goes silent: entropy, length and the spread of rewards die away together.

Falling entropy and shorter answers are the ordinary course of a training; with groups whose completions all
earn the same there is nothing left to learn from either.
"""

from dataclasses import dataclass, field

from monitor.detector import constants
from monitor.detector.collapse import Failure


@dataclass
class _Fading:
    """A smoothed value and the greatest it has been."""

    value: float = 0.0
    greatest: float = 0.0
    seen: int = 0

    def add(self, value: float) -> None:
        """Add one value; the greatest level is kept from the 8th value on."""
        self.seen += 1
        self.value += max(constants.RECENT, 1 / self.seen) * (value - self.value)
        if self.seen >= constants.DEAD:
            self.greatest = max(self.greatest, self.value)

    def below(self, share: float) -> bool:
        """Return whether the value is below a share of the greatest."""
        return self.value < share * self.greatest


@dataclass
class SilenceWatch:
    """Counts the points at which all three have died away.

    >>> watch = SilenceWatch()
    >>> told = [watch.add(.5, 300, 1.0) if i < 99 else watch.add(.02, 90, .1) for i in range(150)]
    >>> next(i for i, one in enumerate(told) if one) < 130
    True
    """

    entropy: _Fading = field(default_factory=_Fading)
    length: _Fading = field(default_factory=_Fading)
    spread: _Fading = field(default_factory=_Fading)
    points: int = 0

    def add(
        self, entropy: float | None, length: float | None, spread: float | None
    ) -> Failure | None:
        """Add a point, None for what was not measured; return the failure if it is one."""
        for one, value in ((self.entropy, entropy), (self.length, length), (self.spread, spread)):
            if value is not None:
                one.add(value)
        silent = (
            self.entropy.below(constants.SILENT_ENTROPY)
            and self.length.below(constants.SILENT)
            and self.spread.below(constants.SILENT)
        )
        self.points = self.points + 1 if silent else 0
        if self.points < constants.DEAD:
            return None
        now, usual = self.entropy.value, self.entropy.greatest
        return Failure(
            f"the policy goes silent: entropy {usual:.2f} to {now:.2f} nats, length"
            f" {self.length.greatest:.0f} to {self.length.value:.0f} tokens, and the spread of rewards is"
            f" below half of what it was",
            self.points,
        )
