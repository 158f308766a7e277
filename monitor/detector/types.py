"""What goes into the detector and what comes out: plain frozen values, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["warming_up", "adapting", "adapted", "turning", "past", "collapsed"]
Kind = Literal["onset", "saturation", "length_turn", "destabilisation", "collapse"]
State = Literal["provisional", "confirmed", "faded"]


@dataclass(frozen=True)
class Sample:
    """The metric values of one step under their canonical names; an absent name was not measured."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RewardRange:
    """The least and greatest value one reward can take; `graded` if it takes values in between."""

    low: float = 0.0
    high: float = 1.0
    graded: bool = False


@dataclass(frozen=True)
class RunShape:
    """What travels with a run and helps to read its metrics; None (or an absent reward) = unknown.

    `rewards` is keyed by canonical metric name (`format_reward`, `accuracy_reward`).
    """

    completions_per_point: int | None = None
    rewards: Mapping[str, RewardRange] = field(default_factory=dict)
    completion_limit_tokens: int | None = None
    max_steps: int | None = None
    save_steps: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What one metric says against "no transition" at the step where the sum is greatest.

    `z` is its standardised contrast, `score` the part of z^2 that counts, `armed` whether it may
    count at all, `words` the same for a person (for a metric that is not armed: why).
    """

    metric: str
    score: float
    z: float
    armed: bool
    words: str


@dataclass(frozen=True)
class ChangePoint:
    """A dated change: `step` is the last step before it, `[low, high]` holds it with about 95 %.

    `faded`: it was suspected and died out again; nothing follows from it.
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
    """What the statistics say after `step`. `score` is to be read against `watch` and `confirm`."""

    step: int
    phase: Phase
    score: float
    watch: float
    confirm: float
    evidence: tuple[Evidence, ...]
    change_points: tuple[ChangePoint, ...]
    transition: Transition | None
    words: str
