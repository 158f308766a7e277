"""What a step's mean would be if every step had the same prompts: effects of prompts, estimated as they come back.

The mean of a prompt's completions is `level of the step + effect of the prompt + noise`. The level is the mean of
"observed minus the prompt's effect"; the effect is the best linear unbiased prediction from the residuals of its
earlier visits (Robinson 1991, Statistical Science 6, "That BLUP is a good thing"): their mean, shrunk towards 0 by
`noise variance / variance between prompts`. A prompt that is seen for the first time has the effect 0. The level
keeps every drift of the policy; what leaves it is which prompts a step happened to draw.
"""

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

MOST_PROMPTS = 20_000  # remembered; some 4 MB. Beyond it the one not seen for longest is forgotten
REMEMBERED_VISITS = 8  # later ones replace the older by and by, as a policy changes with a prompt
_RECENT = 0.05  # weight of a step in the running variances


@dataclass(frozen=True)
class Level:
    """Mean of a step without the effects of its prompts, and the standard errors by prompt of it and of the mean."""

    adjusted: float
    adjusted_sem: float
    sem: float


class PromptEffects:
    """Effects of the prompts on one quantity. `key` of a prompt is any hashable, such as its hash."""

    def __init__(self, most: int = MOST_PROMPTS) -> None:
        self._most = most
        self._visits: OrderedDict[int, tuple[float, int]] = (
            OrderedDict()
        )  # sum of residuals, visits
        self._within = self._between = 0.0
        self._weight = 0.0

    def level(self, groups: Mapping[int, Sequence[float]]) -> Level | None:
        """Return the level of a step from the values by prompt, and learn from them; None below two prompts.

        >>> effects = PromptEffects()
        >>> for easy, hard in (([1.0, 1.2], [3.0, 3.2]), ([1.1, 1.1], [3.1, 3.1])):
        ...     level = effects.level({1: easy, 2: hard})
        >>> round(level.adjusted, 2), level.adjusted_sem < level.sem / 10
        (2.1, True)
        """
        means = {key: fmean(values) for key, values in groups.items() if values}
        if len(means) < 2:
            return None
        shrinkage = self._shrinkage()
        left = {key: mean - self._effect(key, shrinkage) for key, mean in means.items()}
        found = Level(fmean(left.values()), _sem(left), _sem(means))
        for key, mean in means.items():
            self._visited(key, mean - found.adjusted)
        self._learn(groups, means)
        return found

    def _effect(self, key: int, shrinkage: float) -> float:
        total, visits = self._visits.get(key, (0.0, 0))
        return total / (visits + shrinkage) if visits else 0.0

    def _shrinkage(self) -> float:
        """Return the noise variance of a prompt's mean over the variance between prompts."""
        if not self._weight or self._between <= 0.0:
            return 1.0
        return self._within / self._between

    def _visited(self, key: int, residual: float) -> None:
        total, visits = self._visits.pop(key, (0.0, 0))
        if visits == REMEMBERED_VISITS:
            total *= (visits - 1) / visits
            visits -= 1
        self._visits[key] = total + residual, visits + 1
        while len(self._visits) > self._most:
            self._visits.popitem(last=False)

    def _learn(self, groups: Mapping[int, Sequence[float]], means: Mapping[int, float]) -> None:
        within = [_variance(values) / len(values) for values in groups.values() if len(values) > 1]
        if not within:
            return
        noise = fmean(within)
        between = max(_variance(means.values()) - noise, 0.0)
        self._weight = self._weight * (1 - _RECENT) + _RECENT
        share = _RECENT / self._weight
        self._within += share * (noise - self._within)
        self._between += share * (between - self._between)


def _sem(means: Mapping[int, float]) -> float:
    return math.sqrt(_variance(means.values()) / len(means))


def _variance(values: Collection[float]) -> float:
    """Return the unbiased variance of two values or more.

    Not `statistics.variance`: its exact fractions took two thirds of what a training waits for Cusp.
    """
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
