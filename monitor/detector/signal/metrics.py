"""The metrics of the scan: variance-stabilising transform, bad direction, minimum effect, noise floor.

The arcsine-root of a share of n completions has variance 1/(4n) at any level (Anscombe 1948); lengths and
entropies vary by factors, so their logarithm is used. Gates are in `gates.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monitor.detector.signal.history import Array
from monitor.detector.types import RewardRange, RunShape

FORMAT, ACCURACY, LENGTH, ENTROPY, VOLATILITY = range(5)
COMPLETIONS_IF_UNKNOWN = 64  # a low noise floor; study, part 6
HALF_PI = math.pi / 2
_SPREAD_OFFSET = 0.3  # study, part 4
_MOST = 1e30  # clips larger values, so that sums of squares stay finite
_LEAST_RANGE = 1e-9  # guards the division by a range


def measured(metrics: Mapping[str, float], name: str) -> float | None:
    """Return a metric between -1e30 and 1e30, None if it was not measured (absent or not finite).

    >>> measured({"kl": 1e308}, "kl"), measured({"kl": math.nan}, "kl"), measured({}, "kl")
    (1e+30, None, None)
    """
    value = metrics.get(name)
    if value is None or not math.isfinite(value):
        return None
    return min(_MOST, max(-_MOST, value))


@dataclass(frozen=True)
class Metric:
    """One row of the scan. `effect` and `floor` are in transformed units (radians or logs)."""

    name: str
    label: str
    short: str
    unit: str
    kind: Literal["share", "log", "spread"]
    bad: int
    effect: float


# `effect`: 0.06 rad (5 points of a share), 4 % and 0.3 from the study, part 4; 0.25 (28 %) by judgement.
METRICS = (
    Metric("format_reward", "format reward", "format", "", "share", -1, 0.06),
    Metric("accuracy_reward", "accuracy reward", "accuracy", "", "share", -1, 0.06),
    Metric("completion_length", "completion length", "length", " tokens", "log", 1, 0.04),
    Metric("entropy", "entropy", "entropy", " nats", "log", 1, 0.25),
    Metric("format_volatility", "format volatility", "volatility", "", "spread", 1, 0.3),
)
BAD = tuple(float(metric.bad) for metric in METRICS)


def _telling(declared: RewardRange | None) -> RewardRange | None:
    """Return the declared range; None if it has no width, is reversed, or exceeds 1e30."""
    if declared is None or max(abs(declared.low), abs(declared.high)) > _MOST:
        return None
    return declared if declared.high - declared.low >= _LEAST_RANGE else None


class Scale:
    """Transforms raw values of one metric to a scale of constant noise, and back.

    >>> scale = Scale(METRICS[FORMAT], RunShape(completions_per_point=48))
    >>> round(scale.forward(0.5), 3), round(scale.back(scale.forward(0.8)), 3)
    (0.785, 0.8)
    """

    def __init__(self, metric: Metric, shape: RunShape) -> None:
        self.metric = metric
        self.count = shape.completions_per_point or COMPLETIONS_IF_UNKNOWN
        declared = _telling(shape.rewards.get(metric.name))
        self.known = declared is not None
        self.range = declared or RewardRange()
        self.linear = declared is not None and (declared.low < 0 or declared.graded)
        self.least, self.greatest = math.inf, -math.inf

    def leaves_range(self, raw: float) -> bool:
        """Return whether `raw` shows that the assumed range [0, 1] is wrong (then: linear)."""
        return (
            self.metric.kind == "share"
            and not self.known
            and not self.linear
            and not -1e-9 <= raw <= 1 + 1e-9
        )

    def forward(self, raw: float) -> float:
        """Return the transformed value."""
        if self.metric.kind == "log":
            return math.log(max(raw, 1e-6 if self.metric.unit == " nats" else 1.0))
        if self.metric.kind == "spread":
            return math.log(_SPREAD_OFFSET + raw)
        if self.linear:
            self.least, self.greatest = min(self.least, raw), max(self.greatest, raw)
            return raw
        # 3/8 and 3/4 are Anscombe's (1948), for the variance near 0 and 1.
        width = (self.range.high - self.range.low) or 1.0
        share = min(max((raw - self.range.low) / width, 0.0), 1.0)
        return math.asin(math.sqrt((self.count * share + 0.375) / (self.count + 0.75)))

    def back(self, value: float) -> float:
        """Return the raw value of a transformed one."""
        if self.metric.kind == "log":
            return math.exp(value)
        if self.metric.kind == "spread":
            return max(math.exp(value) - _SPREAD_OFFSET, 0.0)
        if self.linear:
            return value
        share = (math.sin(value) ** 2 * (self.count + 0.75) - 0.375) / self.count
        return self.range.low + min(max(share, 0.0), 1.0) * (self.range.high - self.range.low)

    @property
    def unit(self) -> float:
        """One radian of the arcsine-root scale in transformed units."""
        if not self.linear:
            return 1.0
        return max(self.greatest - self.least, 1e-9) / HALF_PI

    @property
    def effect(self) -> float:
        """The minimum difference that counts, in transformed units."""
        return self.metric.effect * self.unit

    @property
    def floor(self) -> float:
        """The minimum noise sd of one point, in transformed units: study, part 4; 0.02 by judgement."""
        if self.metric.kind == "log":
            return 0.008 if self.metric.unit == " tokens" else 0.02
        if self.metric.kind == "spread":
            return 0.65
        return 0.45 / math.sqrt(self.count + 0.75) * self.unit * (0.5 if self.linear else 1.0)

    def shares(self, values: Array) -> Array:
        """Return transformed values as shares of the range: least 0, greatest 1."""
        if self.linear:
            low = self.range.low if self.known else self.least
            high = self.range.high if self.known else self.greatest
            return (values - low) / max(high - low, 1e-9)
        wide: Array = np.sin(values) ** 2 * (self.count + 0.75) - 0.375
        return np.clip(wide / self.count, 0.0, 1.0)

    def share(self, value: float) -> float:
        """Return a transformed value as a share of the range: least 0, greatest 1."""
        if self.linear:
            low = self.range.low if self.known else self.least
            high = self.range.high if self.known else self.greatest
            return (value - low) / max(high - low, 1e-9)
        raw = self.back(value)
        return (raw - self.range.low) / max(self.range.high - self.range.low, 1e-9)
