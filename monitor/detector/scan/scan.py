"""Isotonic reversal scan: joint evidence of all metrics for a change for the worse at a common step.

For every candidate step tau, S(tau) is the sum over metrics of the squared contrast z_k(tau)+ of the mean
after tau against the mean of the present level before it. S is large only where several points moved
against the metric's course so far; its argmax dates the change and {S >= max - 13} is its interval.
`weights.py` limits each metric's part.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detector.scan.contrast import (
    LEAST_POINTS,
    Contrast,
    Sums,
    ramp_contrast,
    step_contrast,
)
from monitor.detector.scan.isotonic import Isotonic, Position
from monitor.detector.scan.weights import (
    FullEvidence,
    balanced,
    learnt,
    lost,
    single_metric_cap,
    surged,
    weighed,
)
from monitor.detector.signal.history import WINDOW, Array, History
from monitor.detector.signal.metrics import (
    ACCURACY,
    BAD,
    ENTROPY,
    FORMAT,
    LENGTH,
    METRICS,
    VOLATILITY,
)
from monitor.detector.signal.noise import correlation
from monitor.detector.signal.transform import EVERY_STEP, MetricSignal, point_weight
from monitor.detector.types import RunShape

# The interval holds the truth in 93.9 % of synthetic runs (doc, "What was measured").
_INTERVAL_DROP = 13.0
# Points; with no least, evidence flickered at each short dip of the study's tiny runs.
_LEAST_LEVEL = 24
_SAFE_DROP = 3.0  # of S; by judgement
_NOTICED = 4.0  # of S, z = 2: saves the weighing on most steps; by judgement
_SHARED = 0.5  # on the study's tiny runs 27 of 31 losing ones are stopped, 25 with 1.0; no control
_PACE_KNOWN = 8  # points over which the logging interval is measured; by judgement
_UNARMED_LENGTH_EFFECT = 0.3  # of log length, 35 %; study, part 4
_UNARMED_LENGTH_POINTS = 24  # study's prototype
_GRID = 1.12  # ratio of neighbouring post-change lengths; study's prototype
ROWS = len(METRICS)
EVERY_ROW = tuple(range(ROWS))
Indices = NDArray[np.intp]
_BAD = np.array(BAD)
_BAD_COLUMN = _BAD[:, None]
_NOTHING = (0.0,) * ROWS
_NEVER = (math.inf, 0.0, 0.0)


def _candidates() -> Indices:
    lengths = list(range(LEAST_POINTS // 2, LEAST_POINTS + 1))
    while lengths[-1] < WINDOW - 1:
        lengths.append(min(max(lengths[-1] + 1, int(lengths[-1] * _GRID)), WINDOW - 1))
    return np.array(lengths, dtype=np.intp)


_BACK = _candidates()


def _better(step: Contrast, ramp: Contrast) -> Contrast:
    """Return jump or ramp, whichever fits a metric better; for entropy, often one long ramp, the jump."""
    use = ramp.z > step.z
    use[ENTROPY] = False
    return Contrast(np.where(use, ramp.z, step.z), np.where(use, ramp.difference, step.difference))


@dataclass(frozen=True)
class StepEvidence:
    """Evidence at the best candidate: its point, the score, and per metric z, part and levels."""

    index: int
    score: float
    z: tuple[float, ...]
    parts: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class Date:
    """A dated change in points: the last point before it, its interval, the safe point, the evidence."""

    index: int
    low: int
    high: int
    safe: int
    moment: StepEvidence


class Scan:
    """The state of the scan over all metrics; grows by `add`, read by `best`, `date`, `good_move`."""

    def __init__(self, shape: RunShape, confirm: float) -> None:
        self._confirm = confirm
        self.history = History(ROWS)
        self.readings = [MetricSignal(metric, shape) for metric in METRICS]
        self.armed: list[Position | None] = [None] * ROWS
        self.improved_at: list[int | None] = [None] * ROWS
        self._fits = [Isotonic(metric.bad) for metric in METRICS]
        self._good_fits = [Isotonic(-metric.bad) for metric in METRICS]
        self._shared = np.eye(ROWS)
        self._sigma = np.full((ROWS, 1), np.inf)
        self._effect = np.zeros((ROWS, 1))
        self._starts: list[Position | None] = [None] * ROWS
        self._start_sums = np.full((3, ROWS, 1), np.array(_NEVER)[:, None, None])
        self._next_noise = 12
        self.settled_from = 0
        self._compared_from = 0
        self.point_weight = EVERY_STEP

    @property
    def size(self) -> int:
        """Number of points so far."""
        return self.history.size

    @property
    def least(self) -> int:
        """Minimum number of points after a change."""
        return int(LEAST_POINTS * self.point_weight)

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
        if self.size == _PACE_KNOWN:
            self.point_weight = point_weight((step - self.history.step(0)) / self.size)
            for reading in self.readings:
                reading.point_weight = self.point_weight
        self._widen(raws)
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

    def _widen(self, raws: list[float | None]) -> None:
        """Switch a reward to the linear scale if a value shows that its range is not [0, 1]."""
        for row, (reading, raw) in enumerate(zip(self.readings, raws, strict=True)):
            if raw is not None and reading.scale.leaves_range(raw):
                values = reading.make_linear(self.history.recent(self.size)[row].tolist())
                self.history.replace_row(row, values)
                self.armed[row] = None
                self._refit(row)
                self._learn_noise()

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
        recent = self.history.recent(WINDOW)
        for row, reading in enumerate(self.readings):
            if reading.count:
                values = recent[row]
                settled = values[max(0, len(values) - (self.size - self.settled_from)) :]
                reading.learn_noise(values[np.isfinite(values)], settled[np.isfinite(settled)])
        self._sigma[:, 0] = [reading.sigma for reading in self.readings]
        self._effect[:, 0] = [reading.scale.effect for reading in self.readings]
        self._shared = _SHARED * correlation(recent, _BAD) + (1 - _SHARED) * np.eye(ROWS)
        self._next_noise = self.size + min(max(4, self.size // 16), 64)

    def best(self) -> StepEvidence | None:
        """Return the evidence at the best coarse candidate, None while there is no candidate."""
        taus = self.size - _BACK
        taus = taus[taus > self.history.first]
        if not len(taus):
            return None
        sums = self._sums(taus)
        contrast = self._contrast(sums, taus, ramps=False)
        plain = (contrast.z**2).sum(axis=0)
        j = int(plain.argmax())
        if plain[j] < _NOTICED:  # most steps: nothing to weigh
            return StepEvidence(int(taus[j]), 0.0, *(_NOTHING,) * 4)
        parts = self._parts(contrast, sums)
        return self._moment(taus, self._total(parts), contrast, parts, sums)

    def date(self, rows: tuple[int, ...] = EVERY_ROW) -> Date | None:
        """Return the change of these metrics dated at full resolution (jump or ramp), None without evidence."""
        taus = np.arange(max(1, self.history.first), self.size - self.least + 1)
        if not len(taus):
            return None
        sums = self._sums(taus)
        contrast = self._contrast(sums, taus, ramps=True)
        parts = balanced(contrast.z**2, self._confirm)
        parts[[row for row in EVERY_ROW if row not in rows]] = 0.0
        total = parts.sum(axis=0)
        if not total.any():
            return None
        within = taus[total >= total.max() - _INTERVAL_DROP] - 1
        likely = taus[total >= total.max() - _SAFE_DROP] - 1
        moment = self._moment(taus, total, contrast, parts, sums)
        return Date(moment.index - 1, int(within[0]), int(within[-1]), int(likely[0]), moment)

    def _sums(self, taus: Indices) -> Sums:
        for row in EVERY_ROW:
            mark = self._start(row)
            if mark is not self._starts[row]:
                self._starts[row] = mark
                self._start_sums[:, row, 0] = mark[1:] if mark else _NEVER
        now = self.history.sums(self.size)[:, :, None]
        return Sums(self._start_sums, self.history.sums_at(taus), now)

    def _contrast(self, sums: Sums, taus: Indices, *, ramps: bool) -> Contrast:
        """Return the contrasts that count: armed, in the bad direction, of at least the minimum effect."""
        contrast = step_contrast(sums, self._sigma, _BAD_COLUMN, self.least)
        if ramps:
            contrast = _better(contrast, ramp_contrast(sums, self._sigma, _BAD_COLUMN, self.least))
        ok = (contrast.z > 0) & (contrast.difference >= self._effect)
        if self.armed[LENGTH] is None:
            ok[LENGTH] &= contrast.difference[LENGTH] >= _UNARMED_LENGTH_EFFECT
            ok[LENGTH] &= taus >= _UNARMED_LENGTH_POINTS
        return Contrast(ok * contrast.z, contrast.difference)

    def _start(self, row: int) -> Position | None:
        """Return the start of a metric's reference stretch, None if its gate is closed."""
        if self._fits[row].empty:
            return None
        start = self._fits[row].start_of(_LEAST_LEVEL * self.point_weight, self.history.now(row)[0])
        gate = self.armed[row]
        if gate is None:
            return start if row == LENGTH else None
        return start if start.point >= gate.point else gate

    def _parts(self, contrast: Contrast, sums: Sums) -> Array:
        parts: Array = contrast.z**2
        if parts.sum(axis=0).max() <= single_metric_cap(self._confirm):
            return parts
        full = FullEvidence(
            learnt(sums, self.readings[FORMAT]),
            lost(contrast, sums, self.readings[ACCURACY]),
            surged(contrast, sums, self.readings[ENTROPY]),
        )
        return weighed(parts, full, self._confirm)

    def _total(self, parts: Array) -> Array:
        """Return the evidence at each candidate, discounted for the correlation of the metrics' noise.

        Only half of the correlation counts: all of it would also discount changes that are real in both
        (long completions are cut, and a cut completion has no format).
        """
        plain = parts.sum(axis=0)
        if not plain.any():
            return np.zeros_like(plain)
        root = np.sqrt(parts)
        joint = (root * (self._shared @ root)).sum(axis=0)
        total: Array = np.maximum(plain * plain / np.maximum(joint, 1e-12), parts.max(axis=0))
        return total

    def _moment(
        self, taus: Indices, total: Array, contrast: Contrast, parts: Array, sums: Sums
    ) -> StepEvidence:
        j = int(total.argmax())
        score, plain = float(total[j]), float(parts[:, j].sum())
        part = (parts[:, j] * (score / plain if plain else 0.0)).tolist()
        z = contrast.z[:, j].tolist()
        levels = sums.levels(j) if score else (_NOTHING, _NOTHING)
        return StepEvidence(int(taus[j]), score, tuple(z), tuple(part), *levels)

    def good_move(self, row: int, effect: float, least_z: float) -> int | None:
        """Return the point at which a metric significantly moved in its good direction, or None."""
        fit, reading = self._good_fits[row], self.readings[row]
        if fit.empty or not math.isfinite(reading.sigma):
            return None
        start = fit.start
        taus = self.size - _BACK
        taus = taus[taus >= max(start.point + self.least, self.history.first)]
        if not len(taus):
            return None
        sums = Sums(
            np.array(start[1:])[:, None, None],
            self.history.sums_at(taus)[:, row : row + 1],
            np.array(self.history.now(row))[:, None, None],
        )
        sigma = np.array([[reading.sigma]])
        contrast = step_contrast(sums, sigma, -_BAD_COLUMN[row : row + 1], self.least)
        z = np.where(contrast.difference >= effect, contrast.z, 0.0)[0]
        j = int(z.argmax())
        return int(taus[j]) if z[j] * reading.young() > least_z else None

    def mark(self, row: int, index: int) -> Position:
        """Return the position of a metric before point `index` (not older than the memory)."""
        return Position(index, *self.history.sums(index)[:, row].tolist())
