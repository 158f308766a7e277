"""Sequential paired test of the weights of now against earlier checkpoints, on the same problems.

The score of a problem is in [0, 1] (the share of its samples that is right). Its loss against a checkpoint is the
score of that checkpoint minus the score of now, in [-1, 1]. Betting on "the mean loss is greater than m" multiplies
a capital by `1 + bet * (loss - m)` at each problem; if the mean loss is at most m, the capital is a
nonnegative supermartingale of mean <= 1, so it ever reaches 1 / alpha with probability at most alpha (Ville's
inequality), however often it is looked at. The capital here is the mean over a grid of bets (Waudby-Smith and Ramdas
2024, JRSS B 86, "Estimating means of bounded random variables by betting"); a mean of e-values is an e-value, so
the mean over the checkpoints tests that now is no worse than *any* of them without a further correction.

`worse` needs the capital of "the mean loss is greater than 0" to reach 1 / alpha; `not_worse` needs, for each
checkpoint, the capital of "the mean loss is less than `margin`" to reach 1 / beta, or that none of them has a greater
mean score than now: more problems then hardly find now worse. A checkpoint without one is scored no further in a look;
its bets end there, which leaves the capital a supermartingale.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import NormalDist, fmean, stdev
from typing import Literal

Outcome = Literal["worse", "not_worse", "undecided"]
Scores = Sequence[float | None]

STAGES = (32, 64, 128)  # problems scored by the end of each stage; settled on the zoo
MOST_LOOKS = 10  # of a run; five stop as many of the zoo's runs, but leave long ones unlooked at towards their end
MARGIN = 0.10  # the loss that matters: what the zoo calls a losing run
BETA = 0.2  # of a false `not_worse`; it only delays a stop, as new evidence asks again
_BETS = (0.2, 0.4, 0.6)  # of 1: none below it ruins the capital; benchmarks/detector/held_out.py
_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Comparison:
    """Mean score of now minus that of an earlier checkpoint, with its paired 95 % interval."""

    step: int
    difference: float
    low: float
    high: float
    problems: int


@dataclass(frozen=True)
class Verification:
    """Outcome of the test; `capital` is the greatest of "worse" so far, `worse` from 1 / alpha on.

    `better`: the checkpoints with a greater mean score than now (or none yet), to be scored on further problems.
    """

    outcome: Outcome
    capital: float
    comparisons: tuple[Comparison, ...]
    better: tuple[int, ...] = ()


def sequential_test(
    now: Scores,
    earlier: Mapping[int, Scores],
    *,
    alpha: float,
    beta: float = BETA,
    margin: float = MARGIN,
) -> Verification:
    """Return the outcome on the problems scored so far, the same ones in the same order for all.

    None is a problem without a score, left out of its pair; so is what lies beyond the end of an earlier checkpoint's
    scores. ValueError if nothing is compared, or one has more scores than now.

    >>> right, wrong = [1.0] * 30 + [0.0] * 10, [0.0] * 20 + [1.0] * 10 + [0.0] * 10
    >>> sequential_test(wrong, {40: right}, alpha=0.01).outcome
    'worse'
    >>> sequential_test(right, {40: wrong}, alpha=0.01).outcome
    'not_worse'
    """
    if not earlier:
        raise ValueError("nothing to compare with: name at least one earlier checkpoint")
    for step, scores in earlier.items():
        if len(scores) > len(now):
            raise ValueError(
                f"{len(scores)} scores of step {step} and {len(now)} of now: score the same problems"
            )
    losses = {step: list(_losses(now, scores)) for step, scores in earlier.items()}
    worse = _greatest_mean([list(_capitals(each, 0.0)) for each in losses.values()])
    fine = all(
        max(_capitals([None if x is None else -x for x in each], -margin), default=1.0) >= 1 / beta
        for each in losses.values()
    )
    compared = tuple(_comparison(step, losses[step]) for step in sorted(losses))
    better = tuple(one.step for one in compared if one.difference <= 0)
    outcome: Outcome = "undecided"
    if worse >= 1 / alpha:
        outcome = "worse"
    elif fine or not better:
        outcome = "not_worse"
    return Verification(outcome, worse, compared, better)


def alpha_of_look(look: int, alpha: float) -> float:
    """Return the error that look number `look` (from 1) of a run may make: alike for MOST_LOOKS, 0 after them.

    On the zoo shares that fall from the first look on stopped 4 points fewer of the losing runs.

    >>> alpha_of_look(1, 0.05), alpha_of_look(10, 0.05), alpha_of_look(11, 0.05)
    (0.005, 0.005, 0.0)
    """
    return alpha / MOST_LOOKS if look <= MOST_LOOKS else 0.0


def _losses(now: Scores, before: Scores) -> Iterator[float | None]:
    for new, old in zip_longest(now, before):
        yield None if new is None or old is None else old - new


def _capitals(losses: Sequence[float | None], mean: float) -> Iterator[float]:
    """Yield the capital of "the mean is greater than `mean`" after each problem."""
    capital = [1.0] * len(_BETS)
    for loss in losses:
        if loss is not None:
            capital = [
                c * (1 + bet * (loss - mean) / (1 + abs(mean)))
                for c, bet in zip(capital, _BETS, strict=True)
            ]
        yield fmean(capital)


def _greatest_mean(capitals: Sequence[Sequence[float]]) -> float:
    """Return the greatest mean over the checkpoints after any problem."""
    return max((fmean(each) for each in zip(*capitals, strict=True)), default=1.0)


def _comparison(step: int, losses: Sequence[float | None]) -> Comparison:
    found = [-loss for loss in losses if loss is not None]
    if not found:
        return Comparison(step, 0.0, -1.0, 1.0, 0)
    mean = fmean(found)
    half = _Z95 * stdev(found) / len(found) ** 0.5 if len(found) > 1 else 1.0
    return Comparison(step, mean, max(mean - half, -1.0), min(mean + half, 1.0), len(found))
