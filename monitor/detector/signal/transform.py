"""Preprocessing of one metric: transform, clip to the running median, noise estimate."""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from monitor.detector import constants
from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import Metric, Scale
from monitor.detector.signal.noise import noise_of
from monitor.detector.types import RunShape

EVERY_STEP = 1.0


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

    def read_again(self, raws: list[float | None]) -> list[float]:
        """Return the results of `read` for earlier values, on the scale's new range."""
        self.origin, self.count = None, 0
        self._sorted, self._order = [], []
        seen = [self.scale.forward(raw) for raw in raws if raw is not None and math.isfinite(raw)]
        noise = noise_of(np.array(seen))
        self._reach = constants.CLIP * max(noise.point, self.scale.floor) if noise else math.inf
        return [self.read(raw) for raw in raws]

    def changes(self, raws: Sequence[float | None]) -> list[float | None]:
        """Return what `change` was after each of earlier values, on the present range."""
        found: list[float | None] = []
        last: float | None = None
        for raw in raws:
            if raw is None or not math.isfinite(raw):
                found.append(None)
                continue
            value = self.scale.forward(raw)
            found.append(None if last is None else abs(value - last) / (2 * self.scale.floor))
            last = value
        return found

    def forget_level(self) -> None:
        """Clip the next values to none of those so far."""
        self._sorted, self._order = [], []

    def _clip(self, value: float) -> float:
        if len(self._order) < constants.FEW:
            return value
        middle = self._sorted[len(self._sorted) // 2]
        return min(max(value, middle - self._reach), middle + self._reach)

    def _remember(self, value: float) -> None:
        insort(self._sorted, value)
        self._order.append(value)
        if len(self._order) > constants.MEDIAN_OF:
            self._sorted.pop(bisect_left(self._sorted, self._order.pop(0)))

    def learn_noise(self, values: Array, settled: Array) -> None:
        """Estimate the noise from the recent values, or from the settled ones if that is less.

        `settled` are those since format came near its high: no rise enters them.
        """
        noise = noise_of(values)
        if noise is None:
            return
        floor = self.scale.floor
        self._reach = constants.CLIP * max(noise.point, floor)
        self.sigma = max(noise.long_run, floor) * _young(self.count, constants.YOUNG)
        coarse = (
            self.point_weight < EVERY_STEP
        )  # a point averages steps, so there is less wander to mistake
        least = constants.SETTLED_COARSE * self.point_weight if coarse else constants.SETTLED
        if least <= len(settled) < len(values) and (less := noise_of(settled)):
            quiet = max(less.long_run, floor) * _young(len(settled), constants.YOUNG)
            bound = 0.0 if coarse else constants.SETTLED_LEAST * self.sigma
            self.sigma = min(self.sigma, max(quiet, bound))

    def young(self) -> float:
        """Return the factor from the z of a young run to the less strict one of a gate."""
        n = max(self.count, 1)
        return _young(n, constants.YOUNG) / _young(n, constants.YOUNG_GATE)

    def raw(self, value: float) -> float:
        """Return the raw value of a result of `read`."""
        return self.scale.back(value + (self.origin or 0.0))

    def level(self, value: float) -> float:
        """Return a result of `read` as a share of the metric's range."""
        return self.scale.share(value + (self.origin or 0.0))


def _young(points: int, half: float) -> float:
    """Return the factor by which the noise is inflated as long as it is badly known."""
    return math.sqrt(1 + half / points)


def point_weight(steps_per_point: float) -> float:
    """Return the factor on all minimum numbers of points for this logging interval.

    >>> point_weight(1.0), point_weight(5.0), point_weight(10.0)
    (1.0, 0.75, 0.5)
    """
    for least, share in constants.COARSE:
        if steps_per_point >= least:
            return share
    return EVERY_STEP
