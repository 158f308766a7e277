"""How much evidence is needed, and what that was measured to cost in false alarms."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Evidence for `watch` (look and evaluate) and `confirm` (a stop is justified)."""

    watch: float
    confirm: float
    false_alarms_per_1000_steps: float
    provenance: str


_STUDY = "study of 2026-11-21 (facts/detector.md): 960 synthetic null runs of 2,000 steps, format and length"
PRESETS: Mapping[str, Preset] = {
    "default": Preset(22.0, 36.0, 0.003, _STUDY),
    "cautious": Preset(26.0, 44.0, 0.002, _STUDY),
    "eager": Preset(18.0, 31.0, 0.012, _STUDY),
}
