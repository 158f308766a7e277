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


def _study(stopped: int, nulls: int, seeds: str) -> str:
    return (
        f"2026-11: {stopped} of {nulls} synthetic null runs of 2,000 steps stopped (12 kinds, format,"
        f" length, with and without accuracy; benchmarks/detector/synthetic.py --base {seeds})"
    )


PRESETS: Mapping[str, Preset] = {
    "default": Preset(
        16.0,
        36.0,
        0.0026,
        _study(5, 960, "4000000"),
    ),
    "cautious": Preset(26.0, 44.0, 0.0010, _study(0, 240, "300000") + "; rate: half a run assumed"),
    "eager": Preset(18.0, 31.0, 0.0063, _study(3, 240, "300000")),
}
