"""The state of the scan: history, signals, monotone fits and noise of all metrics, a point at a time."""

import math
from collections import deque

import numpy as np

from monitor.detector import constants
from monitor.detector.scan.isotonic import Isotonic, Position
from monitor.detector.signal.history import History
from monitor.detector.signal.metrics import (
    ACCURACY,
    BAD,
    FORMAT,
    LENGTH,
    METRICS,
    VOLATILITY,
)
from monitor.detector.signal.noise import correlation
from monitor.detector.signal.transform import EVERY_STEP, MetricSignal, point_weight
from monitor.detector.types import RewardRange, RunShape

ROWS = len(METRICS)
_BAD = np.array(BAD)


class ScanState:
    """What the scan remembers; `settled_from` is the point since which format has been near its high."""

    def __init__(self, shape: RunShape) -> None:
        self.history = History(ROWS)
        self.readings = [MetricSignal(metric, shape) for metric in METRICS]
        self.armed: list[Position | None] = [None] * ROWS
        self.improved_at: list[int | None] = [None] * ROWS
        self._fits = [Isotonic(metric.bad) for metric in METRICS]
        self._good_fits = [Isotonic(-metric.bad) for metric in METRICS]
        self._shared = np.eye(ROWS)
        self._sigma = np.full((ROWS, 1), np.inf)
        self._effect = np.zeros((ROWS, 1))
        self._next_noise = 12
        self.settled_from = 0
        self._compared_from = 0
        self.rescaled = 0
        self._raws: dict[int, deque[float]] = {
            row: deque(maxlen=constants.RANGE_OVER) for row in (FORMAT, ACCURACY)
        }
        self.point_weight = EVERY_STEP

    @property
    def size(self) -> int:
        """Number of points so far."""
        return self.history.size

    @property
    def least(self) -> int:
        """Minimum number of points after a change."""
        return int(constants.SIDE * self.point_weight)

    @property
    def compared(self) -> int:
        """Number of points since `compare_from_now`."""
        return self.size - self._compared_from

    def compare_from_now(self, *, new_data: bool) -> None:
        """Start every reference stretch at the next point. Noise and gates stay.

        Values of new data are not clipped to the level of the old ones, which would look like a ramp.
        """
        for reading in self.readings:
            if new_data:
                reading.forget_level()
        self._compared_from = self.size
        self._fits = [Isotonic(metric.bad) for metric in METRICS]

    def add(self, step: int, raws: list[float | None]) -> None:
        """Add the raw values of one step, one per metric (None = not measured)."""
        if self.size == constants.PACE_KNOWN:
            self.point_weight = point_weight((step - self.history.step(0)) / self.size)
            for reading in self.readings:
                reading.point_weight = self.point_weight
        self._learn_ranges(raws)
        before = [tuple(self.history.now(row)) for row in range(ROWS)]
        values = [self.readings[row].read(raws[row]) for row in range(VOLATILITY)]
        change = self.readings[FORMAT].change if values[FORMAT] == values[FORMAT] else None
        values.append(self.readings[VOLATILITY].read(change))
        self.history.append(values, step)
        for row, value in enumerate(values):
            if value == value:
                self._fit(row, Position(self.size - 1, *before[row]))
        if self.size >= self._next_noise:
            self._learn_noise()

    def _learn_ranges(self, raws: list[float | None]) -> None:
        """Read a reward anew whose range was not told and is seen to be another one than assumed."""
        for row in (FORMAT, ACCURACY):
            raw, scale = raws[row], self.readings[row].scale
            if raw is None:
                continue
            self._raws[row].append(raw)
            old = scale.range
            learnt = scale.learn_range(raw)
            if row == FORMAT and not learnt and self.size % constants.RANGE_EVERY == 0:
                learnt = scale.learn_ceiling(np.array(self._raws[row])[-constants.RANGE_OVER :])
            if learnt:
                self._read_again(row, old)

    def _read_again(self, row: int, old: RewardRange) -> None:
        reading = self.readings[row]
        known = self.history.recent(self.size)[row]
        new, reading.scale.range = reading.scale.range, old
        raws = [reading.raw(v) if math.isfinite(v) else None for v in known.tolist()]
        reading.scale.range = new
        self._replace(row, reading.read_again(raws))
        if row == FORMAT:
            self.rescaled += 1
            self._replace(VOLATILITY, self.readings[VOLATILITY].read_again(reading.changes(raws)))
        self._learn_noise()

    def _replace(self, row: int, values: list[float]) -> None:
        self.history.replace_row(row, values)
        self.armed[row] = self.improved_at[row] = None
        self._refit(row)

    def _refit(self, row: int) -> None:
        self._fits[row] = Isotonic(METRICS[row].bad)
        self._good_fits[row] = Isotonic(-METRICS[row].bad)
        for point in range(self.history.first, self.size):
            before, after = self.mark(row, point), self.mark(row, point + 1)
            if after.measured > before.measured:
                if point >= self._compared_from:
                    self._fits[row].add(before, after.measured, after.total)
                self._good_fits[row].add(before, after.measured, after.total)

    def _fit(self, row: int, before: Position) -> None:
        count, total, _ = self.history.now(row)
        self._fits[row].add(before, count, total)
        if row in (FORMAT, LENGTH) and self.improved_at[row] is None:
            self._good_fits[row].add(before, count, total)

    def _learn_noise(self) -> None:
        recent = self.history.recent(constants.WINDOW)
        for row, reading in enumerate(self.readings):
            if reading.count:
                values = recent[row]
                settled = values[max(0, len(values) - (self.size - self.settled_from)) :]
                reading.learn_noise(values[np.isfinite(values)], settled[np.isfinite(settled)])
        self._sigma[:, 0] = [reading.sigma for reading in self.readings]
        self._effect[:, 0] = [reading.scale.effect for reading in self.readings]
        self._shared = constants.SHARED * correlation(recent, _BAD)
        np.fill_diagonal(self._shared, 1.0)
        self._next_noise = self.size + min(max(4, self.size // 16), 64)

    def mark(self, row: int, index: int) -> Position:
        """Return the position of a metric before point `index` (not older than the memory)."""
        return Position(index, *self.history.sums(index)[:, row].tolist())
