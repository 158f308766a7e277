"""maj@k: the answer that most of a problem's k samples gave, right or wrong (self-consistency, Wang et al. 2023)."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cusp.statistics.proportion import Estimate, pass_at_1

Vote = tuple[str | None, float | None]
"""(answer, None where none was found; score in {1, 0}, None for undecided)"""


def majority_at_k(problems: Sequence[Sequence[Vote]]) -> Estimate:
    """Return the mean over problems of whether the most frequent answer is right, with both intervals.

    Samples without an answer do not vote. Among answers as frequent one is drawn, so a problem's value is the share of
    right ones among them. One vote a problem says nothing about its error of sampling: the interval for this
    fixed set is the bound for one sample a problem. NotComparable is raised as by `pass_at_1`.

    >>> majority_at_k([[("4", 1), ("5", 0), ("4", 1)], [("7", 0), ("8", 1)]]).value
    0.75
    """
    return pass_at_1(np.array([[_vote(votes)] for votes in problems], dtype=float).reshape(-1, 1))


def _vote(votes: Sequence[Vote]) -> float:
    counts = Counter(answer for answer, _ in votes if answer is not None)
    if not counts:
        return 0.0 if votes else float("nan")
    most = max(counts.values())
    scores = dict(votes)
    first = [scores[answer] for answer, count in counts.items() if count == most]
    decided = [score for score in first if score is not None]
    return sum(decided) / len(decided) if decided else float("nan")
