"""The detector: a pure library that recognises the format phase transition while a run trains.

`Detector.update(sample) -> Verdict` after every step; `second_opinion(samples, shape)` on suspicion
and at the end. No input or output, no clock, no log, no chance. See docs/explanation/detector.md.
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
