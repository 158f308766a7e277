"""The scan's statistic: mean after a step against the mean of the present level before it.

For a given start of the reference stretch this contrast has an expectation <= 0 in the bad
direction for every mean that only moves in the good one, whatever its shape.
"""

from typing import NamedTuple

import numpy as np

from monitor.detect.history import Array

LEAST_POINTS = 8


class Contrast(NamedTuple):
    """Per metric and candidate step: the standardised contrast and the difference (bad = positive)."""

    z: Array
    difference: Array


def step_contrast(at: Array, now: Array, start: Array, sigma: Array, bad: Array) -> Contrast:
    """Return the contrast for a jump at each candidate.

    `at` holds (N, C, D) before each candidate, shape (3, metrics, candidates); `now` and `start`
    the same at the end and at the start of each metric's reference stretch, shape (3, metrics, 1).
    Candidates with fewer than 8 measured points on a side get z = 0.
    """
    before, after = at[0] - start[0], now[0] - at[0]
    ok = (before >= LEAST_POINTS) & (after >= LEAST_POINTS)
    n1, n2 = np.where(ok, before, 1.0), np.where(ok, after, 1.0)
    difference = bad * ((now[1] - at[1]) / n2 - (at[1] - start[1]) / n1)
    z = difference * np.sqrt(n1 * n2 / (n1 + n2)) / sigma
    return Contrast(np.where(ok, z, 0.0), np.where(ok, difference, 0.0))


def ramp_contrast(at: Array, now: Array, start: Array, sigma: Array, bad: Array) -> Contrast:
    """Return the contrast for a ramp that begins at each candidate (same arguments)."""
    before, after = at[0] - start[0], now[0] - at[0]
    ok = (before >= LEAST_POINTS) & (after >= LEAST_POINTS)
    n2, whole = np.where(ok, after, 1.0), np.where(ok, before + after, 2.0)
    height = n2 * (n2 + 1) / 2
    power = n2 * (n2 + 1) * (2 * n2 + 1) / 6 - height * height / whole
    moment = now[2] - at[2] - at[0] * (now[1] - at[1])
    slope = bad * (moment - height * (now[1] - start[1]) / whole) / power
    z = slope * np.sqrt(power) / sigma
    return Contrast(np.where(ok, z, 0.0), np.where(ok, slope * n2, 0.0))
