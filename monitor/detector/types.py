"""Inputs and outputs of the detector: frozen dataclasses without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["warming_up", "adapting", "adapted", "turning", "past", "collapsed"]
Kind = Literal["onset", "saturation", "length_turn", "destabilisation", "collapse"]
State = Literal["provisional", "confirmed", "faded", "refuted"]


@dataclass(frozen=True)
class Sample:
    """Metric values of one step by canonical name; an absent name was not measured."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RewardRange:
    """Least and greatest value of one reward; `graded` if it takes values in between."""

    low: float = 0.0
    high: float = 1.0
    graded: bool = False


@dataclass(frozen=True)
class RunShape:
    """Metadata of a run that the scan needs; None (or an absent reward) means unknown.

    `rewards` is keyed by canonical metric name (`format_reward`, `accuracy_reward`). `rewarded` says that a logged
    key looks like a reward, though it may be in no role.
    """

    completions_per_point: int | None = None
    rewards: Mapping[str, RewardRange] = field(default_factory=dict)
    completion_limit_tokens: int | None = None
    max_steps: int | None = None
    save_steps: int | None = None
    rewarded: bool = False


@dataclass(frozen=True)
class Evidence:
    """One metric's evidence for a transition at the step where the sum is greatest.

    `z` is its standardised contrast, `score` the part of z^2 that counts, `armed` whether its gate is open,
    `words` the same as text (for a metric that is not armed: why).
    """

    metric: str
    score: float
    z: float
    armed: bool
    words: str


@dataclass(frozen=True)
class ChangePoint:
    """A dated change: `step` is the last step before it, `[low, high]` its 95 % interval.

    `faded`: it was suspected and died out again, without consequences. `refuted`: held-out scores did not
    show that the weights were worse (`Detector.accept`).
    """

    kind: Kind
    step: int
    low: int
    high: int
    state: State
    seen_at_step: int
    evidence: Mapping[str, float]
    words: str


@dataclass(frozen=True)
class Transition:
    """The format phase transition.

    `step` is the last step whose metrics are unchanged. Metrics of step t are measured before
    update t, so a checkpoint saved at a step <= `safe_step` was made before the transition.
    """

    step: int
    low: int
    high: int
    safe_step: int
    seen_at_step: int
    state: State


@dataclass(frozen=True)
class Verdict:
    """The detector's result after `step`. `score` compares to the thresholds `watch` and `confirm`.

    `level` is the score that would confirm at this step: `confirm`; more while some of the evidence comes from
    metrics that have come back; None while too few points have followed for any.
    """

    step: int
    phase: Phase
    score: float
    watch: float
    confirm: float
    evidence: tuple[Evidence, ...]
    change_points: tuple[ChangePoint, ...]
    transition: Transition | None
    words: str
    level: float | None = None
