"""Noise estimate of a metric, robust to trend, outliers and autocorrelation.

Second differences of block means remove any smooth trend; overlapping blocks of 1, 4, 16 and 32 points
capture noise that is correlated in time (the greatest estimate counts); medians ignore outliers. The result
is a long-run standard deviation: that of means, scaled to one point.
"""

import math
from typing import NamedTuple

import numpy as np

from monitor.detector.signal.history import Array

# Study, part 4; with blocks of 1 alone 4 of the zoo's 51 healthy runs are stopped.
BLOCKS = (1, 4, 16, 32)
_LEAST_BLOCKS = 11  # by judgement
_LEAST_PAIRS = 24  # by judgement
_TO_SIGMA = 1.4826  # sd of a normal variable over its median absolute deviation
_MEAN_TO_SIGMA = 1.2533  # sd of a normal variable over its mean absolute deviation, sqrt(pi / 2)


class Noise(NamedTuple):
    """Standard deviations: `point` from one point to the next, `long_run` of means, scaled to one point."""

    point: float
    long_run: float


def noise_of(values: Array) -> Noise | None:
    """Return the noise of a series of values, None if there are fewer than 12.

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
            # Estimates that still grow with the block are extrapolated; cap of 1.6 by the study's prototype.
            growth = min(max(sigma / max(previous, 1e-12), 1.0), 1.6)
            best = max(best, sigma * math.sqrt(growth))
        previous = sigma
    return Noise(point, best)


def _from_blocks(total: Array, block: int, count: int) -> float:
    # sqrt(block / 6): a second difference of block means has variance 6 sigma^2 / block. 0.6 and 24 are from
    # the study's prototype; 0.8 is by judgement, for a sparse reward, whose median is 0.
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
    """Return second differences of the means of blocks that overlap by three quarters, from sums.

    The overlap uses each point four times, which estimates the noise sooner and better.
    """
    means = (total[block:] - total[:-block]) / block
    bends: Array = means[2 * block :] - 2 * means[block:-block] + means[: -2 * block]
    return bends[:: max(1, block // 4)]


def correlation(values: Array, bad: Array) -> Array:
    """Return the correlation of the metrics' noise in their bad directions, clipped at 0.

    Hard prompts move all metrics of a step at once; shared evidence must not count twice.
    """
    bend = (values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]) * bad[:, None]
    seen = np.isfinite(bend)
    signs = np.where(seen, np.sign(bend), 0.0)
    together = seen.astype(np.float64)
    counts, agreed = together @ together.T, signs @ signs.T
    alike = np.sin(np.pi / 2 * agreed / np.maximum(counts, 1.0))  # from signs: robust to outliers
    result: Array = np.where(counts >= _LEAST_PAIRS, np.maximum(alike, 0.0), 0.0)
    np.fill_diagonal(result, 1.0)
    return result
