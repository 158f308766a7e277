"""Several tests at once (Holm 1979) and one after the other (error spending, Lan and DeMets 1983)."""

from collections.abc import Sequence
from math import sqrt

from scipy.special import ndtr, ndtri


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Return Holm's adjusted p-values in the same order; the weights (default: equal) say where the error goes.

    Calling a difference where the adjusted value is at most alpha calls any false one with probability at most
    alpha, whatever the dependence between the tests and whatever the weights, if these were fixed without
    the data tested.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    >>> holm([0.01, 0.04, 0.03], [1, 2, 1])
    [0.04, 0.06, 0.06]
    """
    weights = weights or [1.0] * len(p_values)
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    left = sorted(range(len(p_values)), key=lambda place: p_values[place] / weights[place])
    while left:
        place, total = left[0], sum(weights[each] for each in left)
        highest = max(highest, min(1.0, p_values[place] * total / weights[place]))
        adjusted[place] = highest
        left = left[1:]
    return adjusted


def spending(alpha: float, shares: Sequence[float]) -> list[float]:
    """Return the error that each stage may make, by O'Brien and Fleming's type of spending function.

    `shares` are of the samples made by the end of each stage, rising to 1. The errors sum to alpha, and most
    is left for the last stage, so that a screen costs the full stage next to no power.

    >>> [round(stage, 4) for stage in spending(0.05, (0.4, 1.0))]
    [0.0019, 0.0481]
    """
    z = -float(ndtri(alpha / 2))
    spent = [2 * float(ndtr(-z / sqrt(share))) for share in shares]
    return [now - before for now, before in zip(spent, [0.0, *spent[:-1]], strict=True)]
