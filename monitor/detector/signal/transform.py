"""Preprocessing of one metric: transform, clip to the running median, noise estimate."""

import math
from bisect import bisect_left, insort

import numpy as np

from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import Metric, Scale
from monitor.detector.signal.noise import noise_of
from monitor.detector.types import RunShape

_MEDIAN_OF = 33  # points; study, part 4
_CLIP_SIGMAS = 3.0  # study, part 4; unclipped, one of the zoo's 51 healthy runs is stopped
_YOUNG_POINTS = 64.0  # study, part 4; without it 3 of the zoo's 51 healthy runs are stopped
_LEAST_SETTLED = 24  # points; by judgement
EVERY_STEP = 1.0
# (steps a point, share of all minimum numbers of points): one point averages several steps. By judgement.
_COARSE, _COARSEST = (4.0, 0.75), (8.0, 0.5)


class MetricSignal:
    """One metric's signal. `sigma` is the noise that a contrast is divided by (inf until known)."""

    def __init__(self, metric: Metric, shape: RunShape) -> None:
        self.metric = metric
        self.scale = Scale(metric, shape)
        self.origin: float | None = None
        self.sigma = math.inf
        self.count = 0
        self.point_weight = EVERY_STEP
        self._moved: float | None = None
        self._last = 0.0
        self._reach = math.inf
        self._sorted: list[float] = []
        self._order: list[float] = []

    def read(self, raw: float | None) -> float:
        """Return the clipped transformed value relative to `origin`, NaN for a missing one."""
        if raw is None or not math.isfinite(raw):
            return math.nan
        value = self.scale.forward(raw)
        self._moved = abs(value - self._last) if self.count else None
        self._last = value
        clipped = value if self.metric.kind == "spread" else self._clip(value)
        self._remember(value)
        self.count += 1
        if self.origin is None:
            self.origin = clipped
        return clipped - self.origin

    @property
    def change(self) -> float | None:
        """Distance of the last value from the one before it, in units of twice the minimum noise."""
        return None if self._moved is None else self._moved / (2 * self.scale.floor)

    def make_linear(self, values: list[float]) -> list[float]:
        """Switch to the linear scale; return earlier results of `read` on it."""
        raws = [self.raw(value) if math.isfinite(value) else math.nan for value in values]
        self.scale.linear = True
        self.origin, self.count = None, 0
        self._sorted, self._order = [], []
        seen = np.array([raw for raw in raws if math.isfinite(raw)])
        if len(seen):
            self.scale.least, self.scale.greatest = float(seen.min()), float(seen.max())
        noise = noise_of(seen)
        self._reach = _CLIP_SIGMAS * max(noise.point, self.scale.floor) if noise else math.inf
        return [self.read(raw) for raw in raws]

    def forget_level(self) -> None:
        """Clip the next values to none of those so far."""
        self._sorted, self._order = [], []

    def _clip(self, value: float) -> float:
        if len(self._order) < 16:
            return value
        middle = self._sorted[len(self._sorted) // 2]
        return min(max(value, middle - self._reach), middle + self._reach)

    def _remember(self, value: float) -> None:
        insort(self._sorted, value)
        self._order.append(value)
        if len(self._order) > _MEDIAN_OF:
            self._sorted.pop(bisect_left(self._sorted, self._order.pop(0)))

    def learn_noise(self, values: Array, settled: Array) -> None:
        """Estimate the noise from the recent values, or from the settled ones if that is less.

        A steep rise looks like noise to blocks of points; the settled values follow it.
        """
        noise = noise_of(values)
        if noise is None:
            return
        floor = self.scale.floor
        self._reach = _CLIP_SIGMAS * max(noise.point, floor)
        self.sigma = max(noise.long_run, floor) * self._young_factor(self.count)
        if (
            self.point_weight < EVERY_STEP
            and _LEAST_SETTLED * self.point_weight <= len(settled) < len(values)
            and (less := noise_of(settled))
        ):
            quiet = max(less.long_run, floor) * self._young_factor(len(settled))
            self.sigma = min(self.sigma, quiet)

    def _young_factor(self, points: int) -> float:
        return math.sqrt(1 + _YOUNG_POINTS / points)

    def young(self) -> float:
        """Return the factor from the z of a young run to the less strict one of a gate (24 for 64)."""
        n = max(self.count, 1)
        return math.sqrt((1 + _YOUNG_POINTS / n) / (1 + 24 / n))

    def raw(self, value: float) -> float:
        """Return the raw value of a result of `read`."""
        return self.scale.back(value + (self.origin or 0.0))

    def level(self, value: float) -> float:
        """Return a result of `read` as a share of the metric's range."""
        return self.scale.share(value + (self.origin or 0.0))


def point_weight(steps_per_point: float) -> float:
    """Return the factor on all minimum numbers of points for this logging interval.

    >>> point_weight(1.0), point_weight(5.0), point_weight(10.0)
    (1.0, 0.75, 0.5)
    """
    for least, share in (_COARSEST, _COARSE):
        if steps_per_point >= least:
            return share
    return EVERY_STEP
