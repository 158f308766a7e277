"""Rules for hard collapse, which fire within a few steps and practically never by chance.

A reward counts as gone when it stays below 5 % of its range for so many points that, at the level
it had, chance would give such a row about once in ten million (each point counted as one draw).
Collapsed is: format and accuracy both gone (or the only one of them that is measured); or one of
them gone while length sits at its limit or near zero; or entropy at five times its low and > 1.5,
or at a fiftieth of its level and < .01 (every completion is the same: nothing is left to learn
from); or length near zero while the format, seen before, is not there any more.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.detector import constants
from monitor.detector.signal.metrics import ACCURACY, ENTROPY, FORMAT, LENGTH


@dataclass
class _Reward:
    """Smoothed level of one reward before it was lost, and the number of lost points since."""

    level: float = 0.0
    seen: int = 0
    gone_points: int = 0

    def add(self, share: float) -> None:
        """Add one value; a row of lost points lowers the level only once it is over."""
        self.seen += 1
        if share <= constants.GONE:
            self.gone_points += 1
            return
        rate = max(constants.USUAL, 1 / self.seen)
        self.level *= (1 - rate) ** self.gone_points
        self.level += rate * (share - self.level)
        self.gone_points = 0

    def gone(self) -> bool:
        """Return whether this many lost points in a row are less likely than exp(-constants.CHANCE)."""
        if self.level < 0.2 or self.seen < 32 or self.gone_points < 4:
            return False
        return -self.gone_points * math.log1p(-min(self.level, 0.97)) >= constants.CHANCE


class Failure(NamedTuple):
    """The failure as text, and its duration in points."""

    words: str
    points: int


@dataclass
class CollapseWatch:
    """Counts the points of each failure; `add` returns a Failure once one is a collapse.

    >>> watch, told = CollapseWatch(), []
    >>> for step in range(60):
    ...     up = float(step < 40)
    ...     told.append(watch.add([up, up, None, None], None, None))
    >>> told.index(Failure("format and accuracy are gone (below 5 % for 5 points)", 5))
    44
    """

    format: _Reward = field(default_factory=_Reward)
    accuracy: _Reward = field(default_factory=_Reward)
    points: int = 0
    at_limit: int = 0
    was_short: bool = False
    near_zero: int = 0
    length: float = 0.0
    exploded: int = 0
    low_entropy: float = math.inf
    smooth_entropy: float = 0.0
    usual_entropy: float = 0.0
    vanished: int = 0
    least: float = constants.COLLAPSE
    long: float = constants.DEAD

    def add(
        self,
        values: list[float | None],
        clipped_ratio: float | None,
        limit_tokens: int | None,
        point_weight: float = 1.0,
    ) -> Failure | None:
        """Add a point: shares of format and accuracy, length in tokens, entropy in nats."""
        self.points += 1
        self.least, self.long = constants.COLLAPSE * point_weight, constants.DEAD * point_weight
        if (share := values[FORMAT]) is not None:
            self.format.add(share)
        if (share := values[ACCURACY]) is not None:
            self.accuracy.add(share)
        if (length := values[LENGTH]) is not None:
            self._add_length(length, clipped_ratio, limit_tokens)
        if (entropy := values[ENTROPY]) is not None:
            self._add_entropy(entropy)
        return self._failure()

    def _add_length(self, length: float, clipped: float | None, limit: int | None) -> None:
        full = clipped if clipped is not None else (length / limit if limit else 0.0)
        self.was_short = self.was_short or full < 0.5
        self.at_limit = self.at_limit + 1 if full >= constants.AT_LIMIT else 0
        short = length <= max(2.0, 0.1 * self.length)
        self.near_zero = self.near_zero + 1 if short and self.length > 8 else 0
        if not short or not self.length:
            self.length += max(constants.RECENT, 1 / self.points) * (length - self.length)

    def _add_entropy(self, entropy: float) -> None:
        first = self.smooth_entropy == 0.0
        self.smooth_entropy = (
            entropy
            if first
            else self.smooth_entropy + constants.RECENT * (entropy - self.smooth_entropy)
        )
        if self.points >= constants.DEAD:
            self.low_entropy = min(self.low_entropy, self.smooth_entropy)
        high = entropy > max(constants.EXPLODED, constants.EXPLODED_TIMES * self.low_entropy)
        self.exploded = self.exploded + 1 if high else 0
        if entropy < min(constants.NO_ENTROPY, constants.NO_ENTROPY_SHARE * self.usual_entropy):
            self.vanished += 1
        else:
            self.vanished = 0
            self.usual_entropy += max(constants.USUAL, 1 / self.points) * (
                entropy - self.usual_entropy
            )

    def _failure(self) -> Failure | None:
        named = (("format", self.format), ("accuracy", self.accuracy))
        gone = [name for name, reward in named if reward.gone()]
        measured = [reward for _, reward in named if reward.seen]
        points = max((reward.gone_points for reward in measured), default=0)
        if gone and len(gone) == len(measured):
            verb = "are" if len(gone) > 1 else "is"
            words = f"{' and '.join(gone)} {verb} gone (below 5 % for {points} points)"
            return Failure(words, points)
        if gone and self.at_limit >= self.least and self.was_short:
            words = f"{gone[0]} is gone and length is at its limit for {self.at_limit} points"
            return Failure(words, self.at_limit)
        if gone and self.near_zero >= self.least:
            words = f"{gone[0]} is gone and length is near zero for {self.near_zero} points"
            return Failure(words, self.near_zero)
        return self._extinct() or self._odd_entropy()

    def _extinct(self) -> Failure | None:
        """Return the failure of a format once seen, though never learnt, with length near zero, or None."""
        points = min(self.near_zero, self.format.gone_points)
        if points < self.long or self.format.level <= 0:
            return None
        return Failure(
            f"length is near zero and the format is not there for {points} points", points
        )

    def _odd_entropy(self) -> Failure | None:
        usual, now = self.usual_entropy, self.smooth_entropy
        if self.exploded >= self.least:
            words = f"entropy exploded to {now:.2f} nats from {self.low_entropy:.2f}"
            return Failure(words, self.exploded)
        if self.vanished >= self.long:
            words = (
                f"entropy vanished: {usual:.2f} nats before, below {constants.NO_ENTROPY} for"
                f" {self.vanished} points"
            )
            return Failure(words, self.vanished)
        return None
