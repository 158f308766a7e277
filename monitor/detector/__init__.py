"""The detector: a pure library that recognises the format phase transition while a run trains.

`Detector.update(sample) -> Verdict` after every step; `second_opinion(samples, shape)` on suspicion
and at the end. No I/O, no clock, no logging, no randomness. See docs/explanation/detector.md.

Sources named beside constants: `study` is the detector study of 2026-11 (../shared/detector_study), `doc`
docs/explanation/detector.md, `decision N` a file of docs/decisions; what the zoo loses without a part is from
the ablation in ../shared/facts/verdict.md. `By judgement`: nothing was measured.
"""

from monitor.detector.detector import Detector
from monitor.detector.offline import Segment, Segmentation, second_opinion
from monitor.detector.presets import PRESETS, Preset
from monitor.detector.types import (
    ChangePoint,
    Evidence,
    RewardRange,
    RunShape,
    Sample,
    Transition,
    Verdict,
)

__all__ = [
    "PRESETS",
    "ChangePoint",
    "Detector",
    "Evidence",
    "Preset",
    "RewardRange",
    "RunShape",
    "Sample",
    "Segment",
    "Segmentation",
    "Transition",
    "Verdict",
    "second_opinion",
]
