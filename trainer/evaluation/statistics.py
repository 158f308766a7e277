"""Pass@1 with a confidence interval, and the paired difference of two checkpoints. Pure functions.

Scores of a task are an array, one row a problem, one column a sample: 1 right, 0 wrong, NaN undecided. The
sampling unit is the problem (samples of one problem are correlated), as in Miller, arXiv 2411.00640.

>>> import numpy as np
>>> same = np.array([[1, 0], [1, 1], [0, 0]], dtype=float)
>>> paired_difference({"t": same}, {"t": same}).value
0.0
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cusp.errors import CuspError

Scores = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "not distinguishable"]

_Z95 = 1.959963984540054  # two-sided 95 %
_Z80 = 0.8416212335729143  # power 80 %
_RESAMPLES = 4_000


class NotComparable(CuspError, ValueError):
    """The scores cannot be compared or summarised; the message says why."""


@dataclass(frozen=True)
class Estimate:
    """A proportion with its 95 % interval; `errors` counts undecided samples."""

    value: float
    low: float
    high: float
    problems: int
    samples: int
    errors: int


@dataclass(frozen=True)
class Difference:
    """First minus second with a 95 % interval; `mde` is the minimum detectable effect at power 80 %."""

    value: float
    low: float
    high: float
    mde: float
    problems: int

    @property
    def verdict(self) -> Verdict:
        """Whether the first is better or worse than the second by the interval, or undecided."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not distinguishable"


def pass_at_1(scores: Scores) -> Estimate:
    """Return the mean over problems of the share of right samples.

    The interval is Wilson's with the effective sample size by the variance between problems (Korn and
    Graubard, 1998): valid for any number of samples a problem, and near 0 and 1. Raises NotComparable when
    no sample was decided.
    """
    means = problem_means(scores)
    if not len(means):
        raise NotComparable("not a single sample was decided; look at the verifier")
    value = float(means.mean())
    low, high = _wilson(value, _effective_size(means, scores.shape[1]))
    errors = int(np.isnan(scores).sum())
    return Estimate(value, low, high, len(means), scores.size - errors, errors)


def problem_means(scores: Scores) -> npt.NDArray[np.float64]:
    """Return the share of right samples for each problem with at least one decided sample."""
    decided = (~np.isnan(scores)).sum(axis=1)
    right = np.nansum(scores, axis=1)
    return np.asarray(right[decided > 0] / decided[decided > 0])


def paired_difference(
    first: Mapping[str, Scores], second: Mapping[str, Scores], seed: int = 0
) -> Difference:
    """Return the mean of the per-problem differences over all tasks (rows must be the same problems).

    The interval is a bootstrap over problems, stratified by task; identical scores give exactly 0.
    Raises NotComparable when the two hold different tasks or problems.
    """
    strata = [_differences(first, second, task) for task in sorted(first.keys() | second.keys())]
    strata = [each for each in strata if len(each)]
    count = sum(len(each) for each in strata)
    if not count:
        raise NotComparable(
            "no problem was decided for both checkpoints, so they cannot be compared"
        )
    value = sum(float(each.sum()) for each in strata) / count
    if not any(each.any() for each in strata):
        return Difference(0.0, 0.0, 0.0, 0.0, count)
    rng = np.random.default_rng(seed)
    sums = sum(_resampled_sums(each, rng) for each in strata)
    low, high = np.quantile(sums / count, (0.025, 0.975))
    return Difference(value, float(low), float(high), _detectable(strata, count), count)


def _differences(
    first: Mapping[str, Scores], second: Mapping[str, Scores], task: str
) -> npt.NDArray[np.float64]:
    if task not in first or task not in second:
        raise NotComparable(f"only one of the two checkpoints was scored on {task}")
    if len(first[task]) != len(second[task]):
        raise NotComparable(f"the two checkpoints were scored on different problems of {task}")
    decided = ~np.isnan(first[task]).all(axis=1) & ~np.isnan(second[task]).all(axis=1)
    return problem_means(first[task][decided]) - problem_means(second[task][decided])


def _resampled_sums(
    differences: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the sums of bootstrap resamples, widened for the small-sample bias of their spread."""
    n = len(differences)
    values, counts = np.unique(differences, return_counts=True)  # few: 2k + 1 for k samples
    resampled = rng.multinomial(n, counts / n, size=_RESAMPLES) @ values
    centre = differences.sum()
    return np.asarray(centre + (resampled - centre) * math.sqrt(n / max(1, n - 1)))


def _detectable(strata: list[npt.NDArray[np.float64]], count: int) -> float:
    variance = sum(len(each) * float(each.var(ddof=1)) for each in strata if len(each) > 1)
    return (_Z95 + _Z80) * math.sqrt(variance) / count


def _effective_size(means: npt.NDArray[np.float64], samples: int) -> float:
    """Return the effective sample size, between n problems and n times k samples."""
    n = len(means)
    value = float(means.mean())
    spread = float(means.var(ddof=1)) / n if n > 1 else 0.0
    if spread == 0.0 or value in (0.0, 1.0):
        return float(n)
    return min(max(value * (1 - value) / spread, n), n * samples)


def _wilson(value: float, n: float) -> tuple[float, float]:
    centre = (value + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * math.sqrt(value * (1 - value) / n + _Z95**2 / (4 * n**2))
    low = 0.0 if value == 0.0 else max(0.0, centre - half)
    high = 1.0 if value == 1.0 else min(1.0, centre + half)
    return low, high
