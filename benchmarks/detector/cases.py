"""What every detector and baseline is given, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.detector import RewardRange

Points = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Case:
    """One run to judge: its points, and what is known to be true of it.

    `completions` are those behind one point, `group` those of one prompt.
    `selection` and `report` are held-out scores by checkpoint step (equal where there is one set), and
    `problems` the same ones by problem, where they were stored: set -> step -> array (problems, samples).
    """

    name: str
    points: Points
    kind: str = ""
    truth: int | None = None
    labels: tuple[float, ...] = ()
    tolerance: float = 10.0
    completions: int | None = None
    group: int | None = None
    completion_limit: int | None = None
    rewards: Mapping[str, RewardRange] = field(default_factory=dict)
    selection: Mapping[int, float] = field(default_factory=dict)
    report: Mapping[int, float] = field(default_factory=dict)
    problems: Mapping[str, Mapping[int, npt.NDArray[np.bool_]]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last step."""
        return self.points[-1][0]


@dataclass(frozen=True)
class Outcome:
    """What one method did with one case; `safe` = keep the last checkpoint at or before it.

    `watch` is the first step with a suspicion, `suspicions` the steps at which one arose, each after
    none was in force: how often a verification would be asked for. `completions` are those generated
    to verify.
    """

    stop: int | None = None
    step: int | None = None
    low: int | None = None
    high: int | None = None
    safe: int | None = None
    watch: int | None = None
    points: int = 0
    seconds: float = 0.0
    suspicions: tuple[int, ...] = ()
    completions: int = 0
