"""Presets of the evidence thresholds, with their measured rates of false alarms."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Evidence thresholds: `watch` (look and evaluate) and `confirm` (a stop is justified)."""

    watch: float
    confirm: float
    false_alarms_per_1000_steps: float  # of confirmed transitions
    provenance: str


_BEFORE = (
    "2026-11-30: confirm moved with `default`; its own rate is that of before, 0 and 3 of 240 synthetic null"
    " runs of 2,000 steps (benchmarks/detector/synthetic.py --base 300000), and was not measured again"
)

PRESETS: Mapping[str, Preset] = {
    "default": Preset(
        16.0,
        36.0,
        0.007,
        "2026-11-30: 1 of 72 synthetic null runs of 2,000 steps stopped (12 kinds, format and length;"
        " benchmarks/detector/synthetic.py --base 8800000 --null 6)",
    ),
    "cautious": Preset(21.0, 47.0, 0.0010, _BEFORE),
    "eager": Preset(13.0, 34.0, 0.0063, _BEFORE),
}
