"""What the change-point methods share; numpy only, because the workers import it in their own environments."""

import math

import numpy as np


def noise(values: np.ndarray) -> np.ndarray:
    """Return the noise sd of each column, robust and free of trend: from second differences."""
    second = np.diff(values, 2, axis=0)
    return np.maximum(1.4826 * np.median(np.abs(second), 0) / math.sqrt(6), 0.01)


def bad(x: np.ndarray, a: int, b: int, c: int, offset: int) -> tuple[float, int]:
    """Return evidence (sum of squared z) and date of a change at `b` between `a` and `c`, 0 if it is good.

    `offset` is the index of the window's first point in the run; the date is the last point before it.
    """
    z = (x[a:b].mean(0) - x[b:c].mean(0)) * math.sqrt((b - a) * (c - b) / (c - a))
    score = float((np.maximum(z, 0) ** 2).sum()) if z.max() > -z.min() else 0.0
    return score, offset + b - 1
