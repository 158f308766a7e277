"""pass@1 with an interval for each of two questions.

Scores of a task are an array, one row a problem, one column a sample: 1 right, 0 wrong, NaN undecided, which counts
as wrong: the golds were readable, so it is the completion that could not be judged (a hanging expression), and leaving
it out would raise the score. With k samples a problem their mean is avg@k, the estimate of pass@1.

*Problems like these*: the mean over all problems from which these were drawn. The sampling unit is the problem, as
samples of one problem are correlated (Miller 2024, arXiv 2411.00640).
*This fixed set*: the mean that ever more samples of exactly these problems would give, so the only error is
that of sampling. It shrinks with k, that of the first question does not below the spread between problems.

With one sample a problem no interval for this fixed set covers 95 %, whatever other checkpoints were scored on the same
problems, with however many samples. Let every chance of this checkpoint be replaced by 0 or 1, drawn with that
chance: what is seen of all checkpoints has the same distribution, but this one has no error of sampling left. So an
interval that contains its own estimate covers always there, and one that is shorter than the binomial's covers less
than 95 % where the chances are all alike. What is given is the binomial's, at most this wide: `fixed_bound`. Two
samples a problem tell the two apart (benchmarks/evaluation/one_sample.py).

>>> import numpy as np
>>> found = pass_at_1(np.array([[1, 1]] * 20 + [[0, 0]] * 20, dtype=float))
>>> round(found.low, 2), round(found.high, 2), round(found.fixed_low, 2), round(found.fixed_high, 2)
(0.34, 0.66, 0.48, 0.52)
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betainc, ndtri, stdtrit

from cusp.errors import CuspError

Scores = npt.NDArray[np.float64]
Means = npt.NDArray[np.float64]

Z95 = float(ndtri(0.975))  # two-sided 95 %


class NotComparable(CuspError, ValueError):
    """The scores cannot be compared or summarised; the message says why."""


@dataclass(frozen=True)
class Estimate:
    """A proportion with two 95 % intervals; `errors` counts the undecided among the `samples`.

    `low` and `high` are for problems like these, `fixed_low` and `fixed_high` for this fixed set; with `fixed_bound`
    the latter is no interval of 95 %, but at most that wide.
    """

    value: float
    low: float
    high: float
    fixed_low: float
    fixed_high: float
    problems: int
    samples: int
    errors: int
    fixed_bound: bool


def pass_at_1(scores: Scores, *, greedy: bool = False) -> Estimate:
    """Return the mean over problems of the share of right samples, with both intervals.

    Both are mid-P intervals of a binomial proportion (Lancaster 1961) with an effective sample size: for problems
    like these from the spread between problems (Korn and Graubard 1998), for this fixed set from the
    spread within them. One sample a problem does not show the latter; it is bounded by the binomial's then (Hoeffding
    1956; `fixed_bound`). `greedy` decoding has no error of sampling.
    Raises NotComparable when no sample was decided.
    """
    errors = int(np.isnan(scores).sum())
    return of_means(problem_means(scores), scores.shape[1], errors, greedy=greedy)


def of_means(means: Means, samples: int, errors: int, *, greedy: bool = False) -> Estimate:
    """Return `pass_at_1` of the problems' means over so many samples each, of which `errors` were not decided."""
    if errors == len(means) * samples:
        raise NotComparable("not a single sample was decided; look at the verifier")
    value = float(means.mean())
    low, high = mid_p(value, _size_between(means, samples))
    fixed = (value, value)
    if not greedy:
        fixed = mid_p(value, _size_within(means, samples))
    bound = samples == 1 and not greedy
    return Estimate(value, low, high, *fixed, len(means), len(means) * samples, errors, bound)


def problem_means(scores: Scores) -> Means:
    """Return the share of right samples for each problem."""
    return np.asarray(counted(scores).mean(axis=1))


def counted(scores: Scores) -> Scores:
    """Return scores with 0 for what is undecided."""
    return np.nan_to_num(scores, nan=0.0)


@lru_cache(maxsize=4096)
def mid_p(share: float, size: float) -> tuple[float, float]:
    """Return the 95 % mid-P interval of a proportion; `size` need not be whole.

    Half of the probability of what was observed counts as more extreme: for whole sizes of 30 and more and a true
    proportion of .05 to .95 it covers 92.5 to 98.8 %, Wilson's 92.4 to 97.9 %, Clopper and Pearson's up to
    99.2 %; from 100 on 93.3 to 96.8 %.

    >>> [round(end, 3) for end in mid_p(0.5, 10)]
    [0.212, 0.788]
    """
    right, wrong = share * size, (1 - share) * size

    def below(p: float) -> float:
        """P(more right) + P(as many right) / 2 if the proportion is p."""
        at_least = betainc(right, wrong + 1, p) if right > 0 else 1.0
        more = betainc(right + 1, wrong, p) if wrong > 0 else 0.0
        return float(at_least + more) / 2

    low = 0.0 if right <= 0 else brentq(lambda p: below(p) - 0.025, 0.0, 1.0)
    high = 1.0 if wrong <= 0 else brentq(lambda p: below(p) - 0.975, 0.0, 1.0)
    return float(low), float(high)


def _size_between(means: Means, samples: int) -> float:
    """Return the effective sample size by the spread between problems, from n problems to n times k samples.

    With more than one sample a problem it is lowered by the square of z / t for the n - 1 degrees of freedom.
    """
    n, value = len(means), float(means.mean())
    if samples == 1 or n == 1:
        return float(n)
    spread = float(means.var()) / (n - 1)
    size = float(n)
    if spread > 0.0:
        size = min(max(value * (1 - value) / spread, n), n * samples)
    return size * float(Z95 / stdtrit(n - 1, 0.975)) ** 2


def _size_within(means: Means, samples: int) -> float:
    """Return the effective sample size by the spread within problems, n problems at least.

    To the sum of the problems' variances that of one problem with one of its k samples wrong is added,
    else the few problems of which some samples are right and some wrong make the interval too short: without
    it 30 problems with 2 samples are covered down to 90 %, with it from 94.6 to 97 %.
    """
    n, value = len(means), float(means.mean())
    if value in (0.0, 1.0) or samples == 1:
        return float(n * samples)
    total = float((means * (1 - means)).sum()) / (samples - 1) + 1 / samples**2
    return max(value * (1 - value) * n**2 / total, float(n))
