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

from monitor.detector import constants
from monitor.detector.scan.contrast import Contrast, Sums, ramp_contrast, step_contrast
from monitor.detector.scan.isotonic import Position
from monitor.detector.scan.state import ROWS, ScanState
from monitor.detector.scan.weights import (
    FullEvidence,
    at_once,
    balanced,
    cut,
    learnt,
    lost,
    single_metric_cap,
    surged,
    weighed,
)
from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import ACCURACY, BAD, ENTROPY, FORMAT, LENGTH, TRUNCATION
from monitor.detector.types import RunShape

_NOTICED = 4.0  # of S, z = 2: saves the weighing on most steps; by judgement
EVERY_ROW = tuple(range(ROWS))
Indices = NDArray[np.intp]
_BAD = np.array(BAD)
_BAD_COLUMN = _BAD[:, None]
_NOTHING = (0.0,) * ROWS
_NEVER = (math.inf, 0.0, 0.0)


def _candidates() -> Indices:
    lengths = list(range(constants.SIDE // 2, constants.SIDE + 1))
    while lengths[-1] < constants.WINDOW - 1:
        lengths.append(
            min(max(lengths[-1] + 1, int(lengths[-1] * constants.GRID)), constants.WINDOW - 1)
        )
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


class Scan(ScanState):
    """The scan over all metrics; grows by `add`, read by `best`, `date`, `still`, `good_move`."""

    def __init__(self, shape: RunShape, confirm: float) -> None:
        super().__init__(shape)
        self._confirm = confirm
        self._starts: list[Position | None] = [None] * ROWS
        self._start_sums = np.full((3, ROWS, 1), np.array(_NEVER)[:, None, None])

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
        within = taus[total >= total.max() - constants.INTERVAL_DROP] - 1
        likely = taus[total >= total.max() - constants.SAFE_DROP] - 1
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
            ok[LENGTH] &= contrast.difference[LENGTH] >= constants.EXPLOSION
            ok[LENGTH] &= taus >= constants.LEVEL
        if ok[TRUNCATION].any():
            ok[TRUNCATION] &= cut(sums, self.readings[TRUNCATION])
        return Contrast(ok * contrast.z, contrast.difference)

    def _start(self, row: int) -> Position | None:
        """Return the start of a metric's reference stretch, None if its gate is closed."""
        if self._fits[row].empty:
            return None
        start = self._fits[row].start_of(
            constants.LEVEL * self.point_weight, self.history.now(row)[0]
        )
        gate = self.armed[row]
        if gate is None:
            return start if row == LENGTH else None
        return start if start.point >= gate.point else gate

    def _parts(self, contrast: Contrast, sums: Sums) -> Array:
        parts = at_once(contrast.z**2)
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

    def still(self, moment: StepEvidence) -> float:
        """Return the evidence of the metrics that have not come back in their last points."""
        last = self.history.sums(self.size - self.least)[:2]
        now = np.array([self.history.now(row)[:2] for row in EVERY_ROW]).T
        count, total = now - last
        before, after = np.array(moment.before), np.array(moment.after)
        level = total / np.maximum(count, 1.0)
        there = (level - before) * _BAD >= constants.STILL * (after - before) * _BAD
        return float(np.array(moment.parts)[there & (count > 0)].sum())

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
