"""Intervals of proportions, and of the difference of two whose intervals are known. Pure.

Wilson (1927), J. Am. Stat. Assoc. 22, 209-212; Newcombe (1998), Statistics in Medicine 17, 873-890, method 10
(the "square-and-add" rule, which Zou and Donner 2008 apply to any two estimates with intervals as MOVER).
"""

import math
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


class Proportion(NamedTuple):
    """A fraction with its interval."""

    value: float
    low: float
    high: float

    def at(self, confidence: float) -> "Proportion":
        """Return it with an interval of another confidence, the present one being of CONFIDENCE.

        The ends are moved in proportion to the normal quantiles, and stay within 0 and 1.
        """
        more = quantile(confidence) / quantile(CONFIDENCE)
        low = self.value - more * (self.value - self.low)
        high = self.value + more * (self.high - self.value)
        return Proportion(self.value, max(0.0, low), min(1.0, high))


def quantile(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval.

    >>> round(quantile(0.95), 2)
    1.96
    """
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(share: float, n: int, confidence: float = CONFIDENCE) -> Proportion:
    """Return Wilson's score interval of a share of `n` independent outcomes.

    >>> [round(end, 3) for end in wilson(13 / 30, 30)[1:]]
    [0.274, 0.608]
    """
    z = quantile(confidence)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Proportion(share, max(0.0, middle - half), min(1.0, middle + half))


def difference(one: Proportion, other: Proportion) -> Proportion:
    """Return `one` less `other` with Newcombe's interval; the two are taken as independent.

    >>> [round(each, 3) for each in difference(wilson(56 / 70, 70), wilson(48 / 80, 80))]
    [0.2, 0.052, 0.334]
    """
    gap = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Proportion(gap, gap - below, gap + above)


def mean(estimates: list[Proportion]) -> Proportion:
    """Return the unweighted mean of independent estimates with its interval, by the same rule."""
    n = len(estimates)
    value = sum(each.value for each in estimates) / n
    below = math.hypot(*(each.value - each.low for each in estimates)) / n
    above = math.hypot(*(each.high - each.value for each in estimates)) / n
    return Proportion(value, value - below, value + above)
