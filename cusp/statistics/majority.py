"""maj@k: the answer that most of a problem's k samples gave, right or wrong (self-consistency, Wang et al. 2023)."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cusp.statistics.proportion import Estimate, NotComparable, pass_at_1

Vote = tuple[str | None, float | None]
"""(answer, None where none was found; score in {1, 0}, None for undecided)"""


def majority_at_k(problems: Sequence[Sequence[Vote]]) -> Estimate:
    """Return the mean over problems of whether the most frequent answer is right, with both intervals.

    Samples without an answer do not vote, nor do undecided ones; a problem without any vote is wrong. All right answers
    are one, as each equals the gold, however it is written. Among answers as frequent one is drawn, so a problem's
    value is the expected one: the share of right ones among them. One vote a problem says nothing about its error of
    sampling: the interval for this fixed set is the bound for one sample a problem. Raises NotComparable when no
    sample was decided.

    >>> majority_at_k([[("4", 1), ("5", 0), ("4", 1)], [("7", 0), ("8", 1)]]).value
    0.75
    """
    if not any(score is not None for votes in problems for _, score in votes):
        raise NotComparable("not a single sample was decided; look at the verifier")
    return pass_at_1(np.array(voted(problems), dtype=float).reshape(-1, 1))


def voted(problems: Sequence[Sequence[Vote]]) -> list[float]:
    """Return for each problem whether its most frequent answer is right: 1, 0, or the expected value of a draw."""
    return [_vote(votes) for votes in problems]


_RIGHT = ""  # stands for the answer that is right; no answer is empty


def _vote(votes: Sequence[Vote]) -> float:
    counts = Counter(
        _RIGHT if score else answer
        for answer, score in votes
        if score is not None and (answer or score)
    )
    most = max(counts.values(), default=0)
    first = [answer for answer, count in counts.items() if count == most]
    return first.count(_RIGHT) / len(first) if first else 0.0
