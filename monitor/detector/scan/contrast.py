"""Contrast, the scan's statistic: mean after a step minus mean of the present level before it.

For a given start of the reference stretch its expectation in the bad direction is <= 0 for every mean that
only moves in the good direction, whatever its shape.
"""

from typing import NamedTuple

import numpy as np

from monitor.detector import constants
from monitor.detector.signal.history import Array


class Sums(NamedTuple):
    """Cumulative sums (N, C, D) of all metrics at three positions: shape (3, metrics, candidates or 1).

    `start` is the start of each metric's reference stretch, `at` each candidate, `now` the end.
    """

    start: Array
    at: Array
    now: Array

    def before(self, row: int) -> Array:
        """Return the mean of one metric between start and each candidate."""
        n, c = (self.at - self.start)[:2, row]
        mean: Array = c / np.maximum(n, 1.0)
        return mean

    def after(self, row: int) -> Array:
        """Return the mean of one metric from each candidate on."""
        n, c = (self.now - self.at)[:2, row]
        mean: Array = c / np.maximum(n, 1.0)
        return mean

    def levels(self, j: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the means of all metrics before and after candidate `j`."""
        first, middle, last = self.start[:2, :, 0], self.at[:2, :, j], self.now[:2, :, 0]
        return _means(middle - first), _means(last - middle)


def _means(sums: Array) -> tuple[float, ...]:
    pairs = zip(*sums.tolist(), strict=True)
    return tuple(total / max(count, 1.0) for count, total in pairs)


class Contrast(NamedTuple):
    """Per metric and candidate step: the standardised contrast and the difference (bad = positive)."""

    z: Array
    difference: Array


def step_contrast(sums: Sums, sigma: Array, bad: Array, least: int = constants.SIDE) -> Contrast:
    """Return the contrast for a jump at each candidate; `sigma` and `bad` have shape (metrics, 1).

    Candidates with fewer than 8 measured points before them or `least` after them get 0.
    """
    before, after = sums.at[:2] - sums.start[:2], sums.now[:2] - sums.at[:2]
    ok = (before[0] >= constants.SIDE) & (after[0] >= least)
    n1, n2 = np.maximum(before[0], 1.0), np.maximum(after[0], 1.0)
    difference = ok * (after[1] / n2 - before[1] / n1) * bad
    return Contrast(difference / (sigma * np.sqrt(1 / n1 + 1 / n2)), difference)


def ramp_contrast(sums: Sums, sigma: Array, bad: Array, least: int = constants.SIDE) -> Contrast:
    """Return the contrast for a ramp that begins at each candidate (same arguments)."""
    before, after = sums.at[0] - sums.start[0], sums.now[0] - sums.at[0]
    ok = (before >= constants.SIDE) & (after >= least)
    n2, whole = np.where(ok, after, 1.0), np.where(ok, before + after, 2.0)
    height = n2 * (n2 + 1) / 2
    power = n2 * (n2 + 1) * (2 * n2 + 1) / 6 - height * height / whole
    moment = sums.now[2] - sums.at[2] - sums.at[0] * (sums.now[1] - sums.at[1])
    slope = ok * bad * (moment - height * (sums.now[1] - sums.start[1]) / whole) / power
    return Contrast(slope * np.sqrt(power) / sigma, slope * n2)
