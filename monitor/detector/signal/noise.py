"""How noisy a metric is, without being fooled by its trend, its outliers or its memory.

Second differences of block means take out any smooth trend; overlapping blocks of 1, 4, 16 and 32
points see noise that is correlated in time (the greatest counts); medians keep outliers out. The
result is the standard deviation of one point as a mean of many would have it (a long-run noise).
"""

import math
from typing import NamedTuple

import numpy as np

from monitor.detector.signal.history import Array

BLOCKS = (1, 4, 16, 32)
_LEAST_BLOCKS = 11
_LEAST_PAIRS = 24
_TO_SIGMA = 1.4826
_MEAN_TO_SIGMA = 1.2533


class Noise(NamedTuple):
    """`point` is the noise from one point to the next, `long_run` that of means (as of one point)."""

    point: float
    long_run: float


def noise_of(values: Array) -> Noise | None:
    """Return the noise of a series of measured values, None if there are fewer than 12.

    >>> noise = noise_of(np.random.default_rng(1).normal(np.linspace(0, 9, 400), 0.5))
    >>> 0.45 < noise.point < 0.6, 0.45 < noise.long_run < 0.9
    (True, True)
    """
    if len(values) < 12:
        return None
    total = np.concatenate(([0.0], np.cumsum(values)))
    point = best = previous = 0.0
    for block in BLOCKS:
        count = len(values) // block
        if count < (10 if block == 1 else _LEAST_BLOCKS):
            break
        sigma = _from_blocks(total, block, count)
        if block == 1:
            point = best = sigma
        else:
            growth = min(max(sigma / max(previous, 1e-12), 1.0), 1.6)
            best = max(best, sigma * math.sqrt(growth))
        previous = sigma
    return Noise(point, best)


def _from_blocks(total: Array, block: int, count: int) -> float:
    size = np.abs(_bends(total, block))
    mean = _MEAN_TO_SIGMA * float(size.mean())
    if block > 1 and count < 24:
        return mean * math.sqrt(block / 6)
    ordered = np.sort(size)
    middle = float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    typical = _TO_SIGMA * middle
    sparse = 0.8 * math.sqrt(float(np.mean(size * size))) if block == 1 else 0.0
    return max(typical, 0.6 * mean, sparse) * math.sqrt(block / 6)


def _bends(total: Array, block: int) -> Array:
    """Return second differences of the means, from sums, of blocks that overlap by three quarters.

    Overlapping ones use each point four times over, so they know the noise sooner and better.
    """
    means = (total[block:] - total[:-block]) / block
    bends: Array = means[2 * block :] - 2 * means[block:-block] + means[: -2 * block]
    return bends[:: max(1, block // 4)]


def correlation(values: Array, bad: Array) -> Array:
    """Return how metrics move together from step to step in their bad directions, never below 0.

    Hard prompts move all metrics of a step at once; evidence they share must not count twice.
    """
    bend = (values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]) * bad[:, None]
    seen = np.isfinite(bend)
    signs = np.where(seen, np.sign(bend), 0.0)
    together = seen.astype(np.float64)
    counts, agreed = together @ together.T, signs @ signs.T
    alike = np.sin(np.pi / 2 * agreed / np.maximum(counts, 1.0))  # of signs: outliers count once
    result: Array = np.where(counts >= _LEAST_PAIRS, np.maximum(alike, 0.0), 0.0)
    np.fill_diagonal(result, 1.0)
    return result
