"""The paired difference of two checkpoints scored on the same problems."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from cusp.statistics.proportion import (
    Z95,
    Means,
    NotComparable,
    Scores,
    counted,
    problem_means,
)

Verdict = Literal["better", "worse", "not distinguishable"]

_Z80 = float(ndtri(0.8))  # power 80 %


@dataclass(frozen=True)
class Difference:
    """First minus second, in pass@1, with two 95 % intervals and the two-sided p-value of "no difference".

    `low`, `high`, `error` (standard error) and `p_value` are for problems like these, `fixed_low` and `fixed_high` for
    this fixed set (`proportion.py`); with `fixed_bound` the latter is no interval of 95 %, but at most that wide.
    """

    value: float
    low: float
    high: float
    fixed_low: float
    fixed_high: float
    p_value: float
    error: float
    problems: int
    fixed_bound: bool = False

    def verdict(self, adjusted: float, alpha: float = 0.05) -> Verdict:
        """Return what a p-value, adjusted for the number of comparisons, lets one say."""
        if adjusted > alpha or self.value == 0:
            return "not distinguishable"
        return "better" if self.value > 0 else "worse"

    def within(self, margin: float) -> bool:
        """Return whether the two are equal within `margin`: the whole interval is (two one-sided tests at 2.5 %).

        Where no problem differs the interval has no width; then the upper limit for the share that does
        (Clopper and Pearson 1934: 1 - .025 ** (1 / n) with none of n) must be below `margin`.
        """
        if not self.error and 1 - 0.025 ** (1 / self.problems) >= margin:
            return False
        return -margin < self.low and self.high < margin

    def detectable(self, alpha: float = 0.05, rows: float = 1) -> float:
        """Return the true difference found 4 times of 5 with this standard error, at Holm's first step."""
        return (_Z80 - float(ndtri(alpha / (2 * rows)))) * self.error


def paired_difference(
    first: Mapping[str, Scores], second: Mapping[str, Scores], *, greedy: bool = False
) -> Difference:
    """Return the mean of the per-problem differences over all tasks (rows must be the same problems).

    Every problem counts the same, whatever its task; the variance is that within tasks (stratified). Problems
    like these: Student's t with Satterthwaite's degrees of freedom (1946), but McNemar's exact test (1947)
    where each problem has one sample, right or wrong; a share, as imports have, is more than its sign. This
    fixed set: the spread of the paired samples of a problem, which have the same seed; where there is one
    sample only it is not known, and the interval for problems like these serves as a bound (`fixed_bound`). With
    `greedy` decoding there is no error of sampling. Identical scores give exactly 0. Raises NotComparable when the
    two hold different tasks or problems, or one of them has no decided score at all.
    """
    tasks = sorted(first.keys() | second.keys())
    strata = [_paired(first, second, task) for task in tasks]
    differences = [problem_means(a) - problem_means(b) for a, b in strata]
    count = sum(len(each) for each in differences)
    if not count:
        raise NotComparable(
            "the two checkpoints have no scored problem in common, so they cannot be compared"
        )
    every = np.concatenate(differences)
    if not every.any():
        return Difference(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, count)
    value = float(every.sum()) / count
    error, freedom = _error_between([each for each in differences if len(each)])
    half = float(stdtrit(freedom, 0.975)) * error if freedom else 1.0
    low, high = max(value - half, -1.0), min(value + half, 1.0)
    single = all(a.shape[1] == b.shape[1] == 1 for a, b in strata)
    fixed = (value, value) if greedy else (low, high)
    if not greedy and not single:
        within = Z95 * _error_within(strata, differences) / count
        fixed = max(value - within, -1.0), min(value + within, 1.0)
    counts = single and all(np.isin(each, (0, 1)).all() for pair in strata for each in pair)
    p_value = mcnemar(every) if counts else _p_value(every, value, error, freedom)
    bound = not greedy and any(min(a.shape[1], b.shape[1]) == 1 for a, b in strata if len(a))
    return Difference(value, low, high, *fixed, p_value, error, count, bound)


def mcnemar(differences: Means) -> float:
    """Return the two-sided exact p-value of McNemar's test: of the problems that differ, half each way.

    Its mid-P variant (Fagerland, Lydersen and Laake 2013): half of the probability of what was observed counts. With a
    thousand problems the plain one calls 4.3 % where 5 are allowed, and finds a drop of 2 points 3 times of 100 less.

    >>> round(mcnemar(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])), 6)
    0.015625
    """
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    least, differ = min(better, worse), better + worse
    fewer = bdtr(least - 1, differ, 0.5) if least else 0.0
    return float(min(1.0, bdtr(least, differ, 0.5) + fewer))


def _paired(
    first: Mapping[str, Scores], second: Mapping[str, Scores], task: str
) -> tuple[Scores, Scores]:
    """Return the scores of both on a task, 0 for what is undecided."""
    if task not in first or task not in second:
        raise NotComparable(f"only one of the two checkpoints was scored on {task}")
    if len(first[task]) != len(second[task]):
        raise NotComparable(f"the two checkpoints were scored on different problems of {task}")
    if any(scores.size and np.isnan(scores).all() for scores in (first[task], second[task])):
        raise NotComparable(
            f"not a single sample of {task} was decided for one of the two checkpoints; look at the verifier"
        )
    return counted(first[task]), counted(second[task])


def _error_between(strata: list[Means]) -> tuple[float, float]:
    """Return the standard error by the spread between problems, and its degrees of freedom (0: unknown)."""
    several = [each for each in strata if len(each) > 1]
    parts = np.array([len(each) * float(each.var(ddof=1)) for each in several])
    if not several:
        return 0.0, 0.0
    count = sum(len(each) for each in strata)
    squares = float((parts**2 / np.array([len(each) - 1 for each in several])).sum())
    freedom = float(parts.sum()) ** 2 / squares if squares else float(count - len(several))
    return float(np.sqrt(parts.sum())) / count, freedom


def _error_within(strata: list[tuple[Scores, Scores]], differences: list[Means]) -> float:
    """Return the standard error of the sum of all differences by the spread within problems.

    As in `proportion.py` one problem is added of which one of the k pairs of samples differs.
    """
    total, most = 0.0, 1
    for (a, b), between in zip(strata, differences, strict=True):
        if not len(between):
            continue
        if a.shape == b.shape:
            pairs = a - b
            variances = _variance(pairs)
            most = max(most, pairs.shape[1])
        else:
            variances = _variance(a) + _variance(b)
            most = max(most, min(a.shape[1], b.shape[1]))
        total += float(np.where(np.isnan(variances), between**2, variances).sum())
    return float(np.sqrt(total + 1 / most**2))


def _variance(samples: Scores) -> npt.NDArray[np.float64]:
    """Return the variance of the mean of each row's samples, NaN where it has fewer than two."""
    count = samples.shape[1]
    if count < 2:
        return np.full(len(samples), np.nan)
    return np.asarray(samples.var(axis=1, ddof=1) / count)


def _p_value(differences: Means, value: float, error: float, freedom: float) -> float:
    """Return the two-sided p-value of Student's t, at least that of the sign test with all of one sign.

    Swapping the checkpoints on each problem (the exact permutation test) cannot give less.
    """
    least = 2.0 ** (1 - int((differences != 0).sum()))
    if not error:
        return min(1.0, least)
    return float(max(2 * stdtr(freedom, -abs(value) / error), min(1.0, least)))
