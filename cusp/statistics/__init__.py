"""Statistics of held-out scores: intervals, paired differences, multiplicity, planning. Pure functions."""

from cusp.statistics.majority import majority_at_k
from cusp.statistics.multiplicity import holm, spending
from cusp.statistics.paired import Difference, paired_difference
from cusp.statistics.planning import detectable_difference
from cusp.statistics.proportion import Estimate, NotComparable, Scores, pass_at_1

__all__ = [
    "Difference",
    "Estimate",
    "NotComparable",
    "Scores",
    "detectable_difference",
    "holm",
    "majority_at_k",
    "paired_difference",
    "pass_at_1",
    "spending",
]
