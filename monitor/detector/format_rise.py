"""Dates the rise of the format reward by the best-fitting sigmoid (decision 0007).

A clean format transition is a sigmoid (10-90 % in some 20 steps, at any step of the run). Its middle and
width are found by least squares on the rewards as logged; low and high follow in closed form, so every
middle is tried, by FFT. The interval of a date holds all fits whose sum of squares is not much worse than
the best one's, in units of the long-run noise of its residuals.
"""

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detector import constants
from monitor.detector.signal.history import Array
from monitor.detector.signal.noise import noise_of

# Scales of the logistic function in points; one of width w takes 4.4 w from 10 to 90 % (17-29 steps in real
# logs, decision 0007). The grid is by judgement: neighbours differ by at most a factor of 2.
_WIDTHS = np.array([0.3, 1.0, 2.0, 3.5, 5.5, 8.5, 13.0, 20.0, 30.0, 45.0, 70.0, 100.0])
_TO_NINETY_PERCENT = float(np.log(9.0))  # logit(0.9), in widths
_LEAST_SIDE = 4  # measured points before and after the middle; by judgement
_STEEPEST = 50.0  # bounds the exponent: exp(50) is finite, and the sigmoid is 0 or 1 there
_BLOCK = 64  # the FFT's length is a multiple of this, which is fast


class Crossing(NamedTuple):
    """The last index before the rise crosses a share of its height, with an interval."""

    at: int
    low: int
    high: int

    def after(self, points: int) -> "Crossing":
        """Return the crossing shifted by `points`."""
        return Crossing(self.at + points, self.low + points, self.high + points)


class Rise(NamedTuple):
    """One rise of format: its middle (onset), its end, 90 % of its height (saturation), and its height."""

    onset: Crossing
    saturation: Crossing
    height: float


class RiseWatch:
    """Remembers the rewards of a run and schedules the fits that date their rise."""

    def __init__(self) -> None:
        self._rewards: deque[float] = deque(maxlen=constants.REMEMBERED)
        self._size = 0
        self._seen_at = 0
        self._next = 0
        self._over = False
        self._last: Rise | None = None

    def add(self, reward: float) -> None:
        """Add the reward of the next point as logged, NaN if it is missing."""
        self._rewards.append(reward)
        self._size += 1

    def due(self, over: int, *, again: bool) -> Rise | None:
        """Return the rise, in indices of the run, if a fit is due and finds one; otherwise None.

        Due when the rise is first seen, when it is over (since `over` points; 0: it is not), and, if
        `again`, each time that is twice as long ago: later points determine its height better.
        """
        ended, self._over = bool(over) and not self._over, bool(over)
        if not ended and (self._size < self._next or (self._last and not again)):
            return None
        self._seen_at = self._seen_at or self._size
        self._next = self._size + max(over or self._size - self._seen_at, constants.SIDE)
        rise = self._in_memory()
        self._last = rise or self._last
        return rise

    def _in_memory(self) -> Rise | None:
        """Return the main rise in memory; None without one, or if a larger one has left the memory."""
        found, before = rise_in(np.array(self._rewards)), self._size - len(self._rewards)
        if found is None:
            return None
        last = self._last
        if last and last.onset.low < before and found.height < last.height:
            return None
        return Rise(found.onset.after(before), found.saturation.after(before), found.height)


def rise_in(rewards: Array) -> Rise | None:
    """Return the main rise in `rewards` (NaN = not measured), None where nothing rose.

    >>> rise = rise_in(1 / (1 + np.exp(-(np.arange(120.0) - 40.5) / 5)))
    >>> rise.onset.at, rise.saturation.at
    (40, 52)
    >>> rise_in(np.linspace(1, 0, 60)) is None
    True
    """
    measured = np.isfinite(rewards)
    if measured.sum() < constants.FEW:
        return None
    gain, slope, base = _fits(np.where(measured, rewards, 0.0), measured.astype(np.float64))
    gain[slope <= 0] = 0.0
    width, middle = np.unravel_index(int(gain.argmax()), gain.shape)
    if gain[width, middle] <= 0:
        return None
    shape = _sigmoid(
        np.arange(len(rewards), dtype=np.float64) - float(middle) - 0.5, float(_WIDTHS[width])
    )
    left = (rewards - slope[width, middle] * shape)[measured]
    noise = noise_of(left)
    variance = max(float(left.var()), noise.long_run**2 if noise else 0.0, 1e-9 * base)
    likely = gain >= gain.max() - constants.INTERVAL_DROP * variance
    middles = np.broadcast_to(np.arange(len(rewards), dtype=np.float64), gain.shape)
    ends = middles + 0.5 + _TO_NINETY_PERCENT * _WIDTHS[:, None]
    best = (width, middle)
    return Rise(_crossing(middles, likely, best), _crossing(ends, likely, best), float(slope[best]))


def _crossing(at: Array, likely: NDArray[np.bool_], best: tuple[np.intp, np.intp]) -> Crossing:
    last = at.shape[1] - 1
    dates = (at[best], at[likely].min(), at[likely].max())
    return Crossing(*(min(int(date), last) for date in dates))


def _sigmoid(distance: Array, width: float) -> Array:
    shape: Array = 1.0 / (1.0 + np.exp(-np.clip(distance / width, -_STEEPEST, _STEEPEST)))
    return shape


def _fits(values: Array, measured: Array) -> tuple[Array, Array, float]:
    """Return explained sum of squares and height of every sigmoid (widths, middles), and the total.

    `values` are 0 where `measured` is 0; the middle of column j lies between the points j and j + 1.
    """
    points, count = len(values), measured.sum()
    mean = values.sum() / count
    centred = (values - mean) * measured
    distance = -np.arange(-(points - 1), points, dtype=np.float64)
    shapes = np.stack([_sigmoid(distance - 0.5, float(width)) for width in _WIDTHS])
    size = -(-2 * points // _BLOCK) * _BLOCK  # so long that the wrap-around is cut off

    def summed(what: Array, by: Array) -> Array:
        """Return the sum over points i of what[i] * by(i - j), for every j."""
        product = np.fft.irfft(np.fft.rfft(what, size) * np.fft.rfft(by, size), size)
        sums: Array = product[:, points - 1 : 2 * points - 1]
        return sums

    def added(by: Array) -> Array:
        """Return the sum over measured points i of by(i - j), for every j."""
        if count < points:
            return summed(measured, by)
        total = np.concatenate([np.zeros((len(by), 1)), np.cumsum(by, axis=1)], axis=1)
        sums: Array = total[:, points:] - total[:, :points]
        return sums

    first, second = added(shapes), added(shapes * shapes)
    spread = second - first * first / count
    cross = summed(centred, shapes)
    sides = np.cumsum(measured)
    ok = (spread > 1e-6) & (sides >= _LEAST_SIDE) & (count - sides >= _LEAST_SIDE)
    slope = np.where(ok, cross / np.where(ok, spread, 1.0), 0.0)
    return slope * cross, slope, float(centred @ centred)


class FormatLevel:
    """Smoothed level of format, its maximum, and the point of that maximum.

    >>> level = FormatLevel()
    >>> for index in range(40):
    ...     level.add(index, min(index, 20) / 20, unit=1.0)
    >>> level.settled(40), level.high_at < 40
    (False, True)
    >>> level.settled(90)
    True
    """

    def __init__(self) -> None:
        self.value: float | None = None
        self.high = -math.inf
        self.high_at = 0
        self._highs: list[tuple[float, int]] = []

    def add(self, index: int, value: float, unit: float) -> None:
        """Add one value; a new high must exceed the last one by 0.08 `unit`."""
        self.value = (
            value if self.value is None else self.value + constants.SMOOTH * (value - self.value)
        )
        if self.value > self.high + constants.NEW_HIGH * unit:
            self.high, self.high_at = self.value, index
            near = self.high - constants.NEAR_HIGH * unit
            self._highs = [*(one for one in self._highs if one[0] >= near), (self.high, index)]

    @property
    def near_high_at(self) -> int:
        """The point since which the level has been near its maximum: small later highs do not move it."""
        return self._highs[0][1] if self._highs else 0

    def settled(self, size: int) -> bool:
        """Return whether there was no new high for 24 points and an eighth of the time before it."""
        return size - self.high_at >= max(constants.LEVEL, self.high_at // 8)
