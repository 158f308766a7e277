"""Compares checkpoints by known held-out scores, of which some have more than others. Pure.

Scores are in the order of the problems, so the shorter of two lists is of the first problems of the longer one.
"""

from collections.abc import Mapping
from statistics import fmean

from cusp.verification.sequential import Scores

LEAST_PROBLEMS = 16  # half of the first stage; means over fewer say little beside those over 128


def mean(scores: Scores) -> float:
    """Return the mean score of the problems that were decided, 0 without one."""
    found = [score for score in scores if score is not None]
    return fmean(found) if found else 0.0


def count_scored(scores: Scores) -> int:
    """Return how many problems were decided."""
    return sum(score is not None for score in scores)


def enough(scores: Mapping[int, Scores]) -> dict[int, Scores]:
    """Return the scores but for those of too few problems beside the others."""
    most = max((count_scored(each) for each in scores.values()), default=0)
    least = max(1, min(LEAST_PROBLEMS, most))
    return {step: each for step, each in scores.items() if count_scored(each) >= least}


def best(scores: Mapping[int, Scores]) -> int:
    """Return the step of the checkpoint with the greatest mean score in `common`; ties: the later.

    >>> best({10: [1, 0, None], 20: [0, 1, 1, 1]})
    20
    """
    means = {step: mean(each) for step, each in common(scores).items()}
    return max(means, key=lambda step: (means[step], step))


def common(scores: Mapping[int, Scores]) -> dict[int, list[float]]:
    """Return the scores on the problems that all were scored on, in the same order.

    Left out are checkpoints with fewer problems than another one that they are behind on the problems of both: a look
    scores no further what is behind, and else the rest would be compared on these few problems alone.

    >>> common({10: [0.0, 0.0], 20: [1.0, 0.0, 0.5], 30: [0.0, 1.0, 1.0]})
    {20: [1.0, 0.0, 0.5], 30: [0.0, 1.0, 1.0]}
    """
    left = {
        step: each
        for step, each in scores.items()
        if not any(_behind(each, other) for other in scores.values())
    }
    rows = [row for row in zip(*left.values(), strict=False) if None not in row]
    return {step: [row[at] or 0.0 for row in rows] for at, step in enumerate(left)}


def _behind(some: Scores, more: Scores) -> bool:
    """Return whether `some` has fewer problems than `more`, and a smaller mean on those of both."""
    pairs = zip(some, more, strict=False)
    ahead = sum(one - other for one, other in pairs if one is not None and other is not None)
    return count_scored(some) < count_scored(more) and ahead < 0
