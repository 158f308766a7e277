"""Noise estimate of a metric, robust to trend, outliers and autocorrelation.

Second differences of block means remove any smooth trend; overlapping blocks of 1, 4, 16 and 32 points
capture noise that is correlated in time (the greatest estimate counts, extrapolated where it still grows);
medians and trimmed means keep outliers and steep rises out. The result is a long-run standard deviation: that
of means, scaled to one point.
"""

import math
from typing import NamedTuple

import numpy as np

from monitor.detector import constants
from monitor.detector.signal.history import Array

_TO_SIGMA = 1.4826  # sd of a normal variable over its median absolute deviation
_KEPT_TO_SIGMA = 1.943  # sd of a normal variable over the mean of the smallest 75 % of its sizes
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
    blocks = [b for b in constants.BLOCKS if len(values) // b >= constants.LEAST_BLOCKS]
    sigmas = [_from_blocks(total, block) for block in blocks]
    growth = sigmas[-1] / max(sigmas[-2], 1e-12) if len(sigmas) > 1 else 1.0
    missing = len(constants.BLOCKS) - len(sigmas)
    further = min(max(growth, 1.0), constants.GROWTH) ** (0.5 * (1 + missing))
    return Noise(sigmas[0], max(sigmas[-1] * further, *sigmas))


def _from_blocks(total: Array, block: int) -> float:
    """Return the noise that second differences of block means show, scaled to one point.

    Their variance is 6 sigma^2 / block. Of few blocks the smallest three quarters of the differences count,
    which keeps a steep rise out: the mean of all was 6 to 10 times too great for 512 points after one.
    """
    size = np.sort(np.abs(_bends(total, block)))
    if block > 1:
        kept = size[: math.ceil(constants.KEPT * len(size))]
        return _KEPT_TO_SIGMA * float(kept.mean()) * math.sqrt(block / 6)
    typical = _TO_SIGMA * float(size[(len(size) - 1) // 2] + size[len(size) // 2]) / 2
    heavy = constants.HEAVY * _MEAN_TO_SIGMA * float(size.mean())
    sparse = constants.SPARSE * math.sqrt(float(np.mean(size * size)))
    return max(typical, heavy, sparse) * math.sqrt(block / 6)


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
    result: Array = np.where(counts >= constants.LEVEL, np.maximum(alike, 0.0), 0.0)
    np.fill_diagonal(result, 1.0)
    return result
