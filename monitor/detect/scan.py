"""The isotonic reversal scan: evidence of all metrics that something turned bad at a common step.

For every candidate step tau, S(tau) is the sum over metrics of the squared contrast z_k(tau)+ of
the mean after tau against the mean of the present level before it. S is large only where several
points moved against what the metric did so far; its argmax dates the change and {S >= max - 10} is
its interval. `weights.py` says how far each metric may be trusted.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detect.contrast import LEAST_POINTS, Contrast, ramp_contrast, step_contrast
from monitor.detect.history import WINDOW, Array, History
from monitor.detect.isotonic import Isotonic, Mark
from monitor.detect.metrics import ACCURACY, BAD, ENTROPY, LENGTH, METRICS
from monitor.detect.noise import correlation
from monitor.detect.readings import Reading
from monitor.detect.verdict import RunShape
from monitor.detect.weights import LOST, SURGE, SURGE_NATS, Flags, balanced, weighed

_INTERVAL_DROP = 10.0
_UNARMED_LENGTH_EFFECT = 0.3
_UNARMED_LENGTH_POINTS = 24
ROWS = len(METRICS)
Indices = NDArray[np.intp]
_BAD = np.array(BAD)


def _candidates() -> Indices:
    lengths = [LEAST_POINTS]
    while lengths[-1] < WINDOW - 1:
        lengths.append(min(max(lengths[-1] + 1, int(lengths[-1] * 1.12)), WINDOW - 1))
    return np.array(lengths, dtype=np.intp)


_BACK = _candidates()


@dataclass(frozen=True)
class Moment:
    """The scan at its best candidate: which point, the score, and per metric z, part and levels."""

    index: int
    score: float
    z: tuple[float, ...]
    parts: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class Date:
    """A dated change in points: the last point before it and its interval, with the moment."""

    index: int
    low: int
    high: int
    moment: Moment


class Scan:
    """The state of the scan over all metrics; grows by `add`, read by `best`, `date`, `good_move`."""

    def __init__(self, shape: RunShape, confirm: float) -> None:
        self._confirm = confirm
        self.history = History(ROWS)
        self.readings = [Reading(metric, shape) for metric in METRICS]
        self.armed: list[Mark | None] = [None] * ROWS
        self._fits = [Isotonic(metric.bad) for metric in METRICS]
        self._good_fits = [Isotonic(-metric.bad) for metric in METRICS]
        self._shared = np.eye(ROWS)
        self._next_noise = 12

    @property
    def size(self) -> int:
        """Number of points so far."""
        return self.history.size

    def add(self, step: int, raws: list[float | None]) -> None:
        """Add the raw values of one step, one per metric (None = not measured)."""
        self._widen(raws)
        before = [Mark(self.size, *self.history.now(row)) for row in range(ROWS)]
        values = [reading.read(raw) for reading, raw in zip(self.readings, raws, strict=True)]
        self.history.append(values, step)
        for row, value in enumerate(values):
            if value == value:
                self._fit(row, before[row])
        if self.size >= self._next_noise:
            self._learn_noise()

    def _widen(self, raws: list[float | None]) -> None:
        """Read a reward linearly from now on if a value shows that its range is not [0, 1]."""
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
                self._fits[row].add(before, after.measured, after.total)
                self._good_fits[row].add(before, after.measured, after.total)

    def _fit(self, row: int, before: Mark) -> None:
        count, total, _ = self.history.now(row)
        self._fits[row].add(before, count, total)
        if self.armed[row] is None:
            self._good_fits[row].add(before, count, total)

    def _learn_noise(self) -> None:
        recent = self.history.recent(WINDOW)
        for row, reading in enumerate(self.readings):
            if reading.count:
                values = recent[row]
                reading.learn_noise(values[np.isfinite(values)])
        self._shared = correlation(recent, _BAD)
        self._next_noise = self.size + min(max(4, self.size // 16), 32)

    def best(self) -> Moment | None:
        """Return the scan at its best coarse candidate, None while there is nothing to compare."""
        taus = self.size - _BACK
        taus = taus[taus > self.history.first]
        if not len(taus):
            return None
        at = self.history.sums_at(taus)
        contrast, start, now = self._contrast(at, taus, ramps=False)
        parts = self._parts(contrast, at, start, now)
        total = self._total(parts)
        j = int(total.argmax())
        return self._moment(int(taus[j]), float(total[j]), j, contrast.z, parts, at, start, now)

    def date(self) -> Date | None:
        """Return the change dated at full resolution, jump or ramp per metric, uncapped."""
        taus = np.arange(
            max(1, self.history.first, self.size - WINDOW), self.size - LEAST_POINTS + 1
        )
        if not len(taus):
            return None
        at = self.history.sums_at(taus)
        contrast, start, now = self._contrast(at, taus, ramps=True)
        parts = balanced(contrast.z**2, self._confirm)
        total = parts.sum(axis=0)
        j = int(total.argmax())
        within = np.nonzero(total >= total[j] - _INTERVAL_DROP)[0]
        moment = self._moment(int(taus[j]), float(total[j]), j, contrast.z, parts, at, start, now)
        return Date(int(taus[j]) - 1, int(taus[within[0]]) - 1, int(taus[within[-1]]) - 1, moment)

    def _contrast(self, at: Array, taus: Indices, *, ramps: bool) -> tuple[Contrast, Array, Array]:
        start, sigma, effect = (
            np.zeros((3, ROWS, 1)),
            np.full((ROWS, 1), np.inf),
            np.zeros((ROWS, 1)),
        )
        now = np.zeros((3, ROWS, 1))
        for row, reading in enumerate(self.readings):
            now[:, row, 0] = self.history.now(row)
            mark = self._start(row)
            start[:, row, 0] = mark[1:] if mark else now[:, row, 0]
            sigma[row] = reading.sigma
            effect[row] = reading.scale.effect
        bad = _BAD[:, None]
        contrast = step_contrast(at, now, start, sigma, bad)
        if ramps:
            other = ramp_contrast(at, now, start, sigma, bad)
            better = other.z > contrast.z
            better[ENTROPY] = False
            contrast = Contrast(
                np.where(better, other.z, contrast.z),
                np.where(better, other.difference, contrast.difference),
            )
        ok = (contrast.z > 0) & (contrast.difference >= effect)
        if self.armed[LENGTH] is None:
            ok[LENGTH] &= (contrast.difference[LENGTH] >= _UNARMED_LENGTH_EFFECT) & (
                taus >= _UNARMED_LENGTH_POINTS
            )
        return Contrast(np.where(ok, contrast.z, 0.0), contrast.difference), start, now

    def _start(self, row: int) -> Mark | None:
        """Return where the reference stretch of a metric begins, None if the metric may not count."""
        if self._fits[row].empty:
            return None
        start, gate = self._fits[row].start, self.armed[row]
        if gate is None:
            return start if row == LENGTH else None
        return start if start.point >= gate.point else gate

    def _parts(self, contrast: Contrast, at: Array, start: Array, now: Array) -> Array:
        lost = self._lost(contrast.z[ACCURACY], at, start, now)
        return weighed(contrast.z**2, lost, self._surged(contrast, at, now), self._confirm)

    def _lost(self, z: Array, at: Array, start: Array, now: Array) -> Flags:
        """Return at which candidates accuracy fell to less than LOST of its level."""
        lost = z > 0
        if not lost.any():
            return lost
        reading, old, mid, end = (
            self.readings[ACCURACY],
            start[:, ACCURACY],
            at[:, ACCURACY],
            now[:, ACCURACY],
        )
        before = (mid[1] - old[1])[lost] / (mid[0] - old[0])[lost]
        after = (end[1] - mid[1])[lost] / (end[0] - mid[0])[lost]
        origin = reading.origin or 0.0
        shares = reading.scale.shares
        lost[lost] = shares(after + origin) < LOST * shares(before + origin)
        return lost

    def _surged(self, contrast: Contrast, at: Array, now: Array) -> Flags:
        """Return at which candidates entropy more than doubled to over half a nat."""
        surged: Flags = (contrast.z[ENTROPY] > 0) & (contrast.difference[ENTROPY] > math.log(SURGE))
        if surged.any():
            count, total = now[0, ENTROPY] - at[0, ENTROPY], now[1, ENTROPY] - at[1, ENTROPY]
            origin = self.readings[ENTROPY].origin or 0.0
            surged &= total / np.maximum(count, 1.0) + origin > math.log(SURGE_NATS)
        return surged

    def _total(self, parts: Array) -> Array:
        """Return the evidence at each candidate, what metrics share by chance counted once."""
        plain = parts.sum(axis=0)
        root = np.sqrt(parts)
        joint = (root * (self._shared @ root)).sum(axis=0)
        total: Array = np.maximum(plain * plain / np.maximum(joint, 1e-12), parts.max(axis=0))
        return total

    def _moment(
        self,
        tau: int,
        score: float,
        j: int,
        z: Array,
        parts: Array,
        at: Array,
        start: Array,
        now: Array,
    ) -> Moment:
        with np.errstate(divide="ignore", invalid="ignore"):
            before = (at[1, :, j] - start[1, :, 0]) / (at[0, :, j] - start[0, :, 0])
            after = (now[1, :, 0] - at[1, :, j]) / (now[0, :, 0] - at[0, :, j])
        return Moment(
            tau,
            score,
            tuple(z[:, j].tolist()),
            tuple(parts[:, j].tolist()),
            tuple(before.tolist()),
            tuple(after.tolist()),
        )

    def good_move(self, row: int, effect: float, least_z: float) -> int | None:
        """Return the point at which a metric significantly moved in its good direction, if it did."""
        fit, reading = self._good_fits[row], self.readings[row]
        if fit.empty or not math.isfinite(reading.sigma):
            return None
        start = fit.start
        taus = self.size - _BACK
        taus = taus[taus >= max(start.point + LEAST_POINTS, self.history.first)]
        if not len(taus):
            return None
        at = self.history.sums_at(taus)[:, row : row + 1]
        now = np.array(self.history.now(row))[:, None, None]
        mark = np.array(start[1:])[:, None, None]
        contrast = step_contrast(
            at, now, mark, np.array([[reading.sigma]]), -_BAD[row : row + 1, None]
        )
        z = np.where(contrast.difference >= effect, contrast.z, 0.0)[0]
        j = int(z.argmax())
        return int(taus[j]) if z[j] * reading.young() > least_z else None

    def mark(self, row: int, index: int) -> Mark:
        """Return the mark of a metric before point `index` (not older than the memory)."""
        return Mark(index, *self.history.sums(index)[:, row].tolist())
