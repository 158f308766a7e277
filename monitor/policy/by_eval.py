"""Verification by a training's own evaluations (TRL's `eval_dataset`): mean scores, unpaired. Pure.

`eval_*` metrics are a held-out series; they never enter the detector. Only means are logged, so the comparison is
the normal one of two means with the greatest variance that a score in [0, 1] of this mean can have: more careful
than the paired test, and blind to what the same problems have in common.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from cusp.roles.values import Member
from cusp.verification.sequential import BETA, MARGIN, Comparison, Verification

_NORMAL = NormalDist()
_RUNTIME, _RATE = "eval_runtime", "eval_samples_per_second"


@dataclass(frozen=True)
class EvalMean:
    """Mean score in [0, 1] of an evaluation of `count` problems at a step."""

    step: int
    mean: float
    count: int


def keys(accuracy: Sequence[Member], logged: Mapping[str, object]) -> tuple[str, ...]:
    """Return the logged keys to read: the mean of the accuracy reward, run time and rate; () if one is not there.

    >>> logged = dict.fromkeys(["eval_rewards/acc/mean", "eval_runtime", "eval_samples_per_second"])
    >>> keys([Member("rewards/acc", "rule")], logged)
    ('eval_rewards/acc/mean', 'eval_runtime', 'eval_samples_per_second')
    """
    if len(accuracy) != 1 or accuracy[0].bad or not accuracy[0].plain:
        return ()
    own = [f"eval_{accuracy[0].key}{end}" for end in ("/mean", "")]
    found = next((key for key in own if key in logged), None)
    if found is None or _RUNTIME not in logged or _RATE not in logged:
        return ()
    return found, _RUNTIME, _RATE


def evaluations(series: Mapping[int, Mapping[str, float]], key: str) -> list[EvalMean]:
    """Return the evaluations by step; the trainer tells the number of problems as run time times rate."""
    found = []
    for step, row in sorted(series.items()):
        count = round(row.get(_RUNTIME, 0.0) * row.get(_RATE, 0.0))
        if key in row and count > 1 and 0 <= row[key] <= 1:
            found.append(EvalMean(step, row[key], count))
    return found


def compared(now: EvalMean, earlier: Sequence[EvalMean], alpha: float) -> Verification:
    """Return the outcome: `worse` at the error `alpha` for all earlier ones together (Bonferroni).

    >>> before = [EvalMean(50, 0.62, 400), EvalMean(100, 0.6, 400)]
    >>> compared(EvalMean(150, 0.41, 400), before, 0.01).outcome
    'worse'
    >>> compared(EvalMean(150, 0.61, 400), before, 0.01).outcome
    'not_worse'
    """
    found = [_comparison(now, one) for one in earlier]
    z = [_z(now, one) for one in earlier]
    if max(z) > _NORMAL.inv_cdf(1 - alpha / len(z)):
        return Verification("worse", 0.0, tuple(found))
    reach = _NORMAL.inv_cdf(1 - BETA)
    fine = all(one.mean - now.mean + reach * _error(now, one) < MARGIN for one in earlier)
    return Verification("not_worse" if fine else "undecided", 0.0, tuple(found))


def _comparison(now: EvalMean, before: EvalMean) -> Comparison:
    difference = now.mean - before.mean
    half = _NORMAL.inv_cdf(0.975) * _error(now, before)
    low, high = max(difference - half, -1.0), min(difference + half, 1.0)
    return Comparison(before.step, difference, low, high, min(now.count, before.count))


def _z(now: EvalMean, before: EvalMean) -> float:
    return (before.mean - now.mean) / _error(now, before)


def _error(now: EvalMean, before: EvalMean) -> float:
    """Return the standard error of the difference; a mean of 0 or 1 is taken as half a problem off."""
    return math.sqrt(sum(_variance(one) / one.count for one in (now, before)))


def _variance(one: EvalMean) -> float:
    mean = min(max(one.mean, 0.5 / one.count), 1 - 0.5 / one.count)
    return mean * (1 - mean)
