"""The metrics of the scan: variance-stabilising transform, bad direction, minimum effect, noise floor.

The arcsine-root of a share of n completions has variance 1/(4n) at any level (Anscombe 1948); lengths and
entropies vary by factors, so their logarithm is used. Gates are in `gates.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monitor.detector import constants
from monitor.detector.signal.history import Array
from monitor.detector.types import RewardRange, RunShape

FORMAT, ACCURACY, LENGTH, ENTROPY, TRUNCATION, VOLATILITY = range(6)
HALF_PI = math.pi / 2
MOST = 1e30  # clips larger values, so that sums of squares stay finite
_ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_LEAST_RANGE = 1e-9  # guards the division by a range


def measured(metrics: Mapping[str, float], name: str) -> float | None:
    """Return a metric between -1e30 and 1e30, None if it was not measured (absent or not finite).

    >>> measured({"kl": 1e308}, "kl"), measured({"kl": math.nan}, "kl"), measured({}, "kl")
    (1e+30, None, None)
    """
    value = metrics.get(name)
    if value is None or not math.isfinite(value):
        return None
    return min(MOST, max(-MOST, value))


@dataclass(frozen=True)
class Metric:
    """One row of the scan; `bad` is the sign of its bad direction."""

    name: str
    label: str
    short: str
    unit: str
    kind: Literal["share", "log", "spread"]
    bad: int


METRICS = (
    Metric("format_reward", "format reward", "format", "", "share", -1),
    Metric("accuracy_reward", "accuracy reward", "accuracy", "", "share", -1),
    Metric("completion_length", "completion length", "length", " tokens", "log", 1),
    Metric("entropy", "entropy", "entropy", " nats", "log", 1),
    Metric("clipped_ratio", "truncated share", "truncation", "", "share", 1),
    Metric("format_volatility", "format volatility", "volatility", "", "spread", 1),
)
BAD = tuple(float(metric.bad) for metric in METRICS)


def _telling(declared: RewardRange | None) -> RewardRange | None:
    """Return the declared range; None if it has no width, is reversed, or exceeds 1e30."""
    if declared is None or max(abs(declared.low), abs(declared.high)) > MOST:
        return None
    return declared if declared.high - declared.low >= _LEAST_RANGE else None


def _round_up(value: float, least: float = 1.0) -> float:
    """Return the next round number from a positive value on, and from `least` on.

    >>> _round_up(0.9), _round_up(2.0), _round_up(37.5), _round_up(0.192, least=0.0)
    (1.0, 2.0, 40.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(max(value, least)))
    return next(power * one for one in _ROUND if power * one >= value * (1 - 1e-9))


class Scale:
    """Transforms raw values of one metric to a scale of constant noise, and back.

    >>> scale = Scale(METRICS[FORMAT], RunShape(completions_per_point=48))
    >>> round(scale.forward(0.5), 3), round(scale.back(scale.forward(0.8)), 3)
    (0.785, 0.8)
    """

    def __init__(self, metric: Metric, shape: RunShape) -> None:
        self.metric = metric
        self.count = shape.completions_per_point or constants.COMPLETIONS_IF_UNKNOWN
        declared = _telling(shape.rewards.get(metric.name))
        self.known = declared is not None
        self.range = declared or RewardRange()
        self.linear = declared is not None and (declared.low < 0 or declared.graded)
        self.guessed = False
        self.least, self.greatest = math.inf, -math.inf

    def learn_range(self, raw: float) -> bool:
        """Widen a range that was not told if `raw` lies outside it; return whether it was changed.

        The new end is the next round number (1, 1.5, 2, 3, 4, 5, 6, 8 or 10 times a power of ten), at least 1 as
        long as no lower ceiling was learnt.
        """
        if self.known or self.metric.kind != "share":
            return False
        if self.range.low - 1e-9 <= raw <= self.range.high + 1e-9:
            return False
        low = min(self.range.low, -_round_up(-raw) if raw < 0 else 0.0)
        high = _round_up(raw, min(1.0, self.range.high)) if raw > 0 else 0.0
        self.range = RewardRange(low, max(self.range.high, high))
        self.guessed = True
        return True

    def learn_ceiling(self, raws: Array) -> bool:
        """Take the greatest value for the end of a range that was not told if the reward sits there.

        `raws` are the last values. Returns whether the range was changed.
        """
        if self.known or self.metric.kind != "share" or not self.greatest > self.range.low:
            return False
        sits = float(raws.mean()) - self.range.low > constants.AT_CEILING * (
            self.greatest - self.range.low
        )
        if not sits or self.greatest > constants.AT_CEILING * self.range.high:
            return False
        self.range = RewardRange(self.range.low, self.greatest)
        return True

    def forward(self, raw: float) -> float:
        """Return the transformed value."""
        if self.metric.kind == "log":
            return math.log(max(raw, 1e-6 if self.metric.unit == " nats" else 1.0))
        if self.metric.kind == "spread":
            return math.log(constants.SPREAD_OFFSET + raw)
        self.least, self.greatest = min(self.least, raw), max(self.greatest, raw)
        if self.linear:
            return raw
        # 3/8 and 3/4 are Anscombe's (1948), for the variance near 0 and 1.
        width = (self.range.high - self.range.low) or 1.0
        share = min(max((raw - self.range.low) / width, 0.0), 1.0)
        return math.asin(math.sqrt((self.count * share + 0.375) / (self.count + 0.75)))

    def forward_all(self, raw: Array) -> Array:
        """Return what `forward` does of each value.

        >>> scale = Scale(METRICS[LENGTH], RunShape())
        >>> scale.forward_all(np.array([1.0, math.e])).tolist()
        [0.0, 1.0]
        """
        if self.metric.kind == "log":
            return np.log(np.maximum(raw, 1e-6 if self.metric.unit == " nats" else 1.0))
        if self.metric.kind == "spread":
            return np.log(constants.SPREAD_OFFSET + raw)
        self.least = min(self.least, float(raw.min()))
        self.greatest = max(self.greatest, float(raw.max()))
        if self.linear:
            return raw
        width = (self.range.high - self.range.low) or 1.0
        share = np.clip((raw - self.range.low) / width, 0.0, 1.0)
        return np.arcsin(np.sqrt((self.count * share + 0.375) / (self.count + 0.75)))

    def back(self, value: float) -> float:
        """Return the raw value of a transformed one."""
        if self.metric.kind == "log":
            return math.exp(value)
        if self.metric.kind == "spread":
            return max(math.exp(value) - constants.SPREAD_OFFSET, 0.0)
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
        if self.metric.kind == "log":
            tokens = self.metric.unit == " tokens"
            return constants.LENGTH_EFFECT if tokens else constants.ENTROPY_EFFECT
        if self.metric.kind == "spread":
            return constants.VOLATILITY_EFFECT
        return constants.SHARE_EFFECT * self.unit

    @property
    def floor(self) -> float:
        """The minimum noise sd of one point, in transformed units."""
        if self.metric.kind == "log":
            tokens = self.metric.unit == " tokens"
            return constants.FLOOR_LENGTH if tokens else constants.FLOOR_ENTROPY
        if self.metric.kind == "spread":
            return constants.FLOOR_VOLATILITY
        graded = constants.FLOOR_GRADED if self.linear or self.guessed else 1.0
        return graded * constants.FLOOR / math.sqrt(self.count + 0.75) * self.unit

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
