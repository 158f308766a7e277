"""Makes one simulated run: its logged points, its truth, and what held-out problems would say."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from benchmarks.detector.cases import Case
from benchmarks.detector.grpo_simulation import batch, policy
from benchmarks.detector.grpo_simulation.kinds import KINDS, Kind, prepared, troubled
from benchmarks.detector.grpo_simulation.policy import State
from benchmarks.detector.grpo_simulation.setting import (
    HELD_OUT,
    Array,
    Problems,
    Setting,
    drawn_problems,
    drawn_setting,
    visits,
)
from monitor.detector import RewardRange

VERSION = (
    1  # part of every seed: a change of the model makes other runs, never the same under one name
)
KINDS_OF_CASES = {
    "steady": "null",
    "hard": "hard",
    "odd": "hard",
    "positive": "positive",
}  # words of scoring.py
CHECKPOINTS = 25  # a run; divides all lengths


@dataclass(frozen=True)
class Run:
    """One simulated run. `state` is what the policy does, `calm` what it would do without the change."""

    kind: Kind
    seed: int
    setting: Setting
    problems: Problems
    state: State
    calm: State
    steps: Mapping[str, Array] = field(repr=False)
    held: Problems = field(repr=False)

    @property
    def truth(self) -> int | None:
        """The last step whose batch is unchanged; None in a healthy run."""
        return self.kind.truth

    def held_out(self, step: int) -> Array:
        """Return the probability of a right answer to each of 300 held-out problems, of checkpoint `step`.

        A batch is generated before its update, so the checkpoint of step t is the state of step t + 1.
        """
        setting, at = self.setting, min(step, len(self.state.format) - 1)
        room = np.log(setting.limit) - self.state.length[at] - self.held.length
        ability = self.state.skill[at] - self.state.gap[at] - self.held.difficulty
        right = ndtr(room / setting.within_sd) * expit(ability)
        if setting.strict:
            formed = expit(self.state.format[at] + self.held.format)
            right = right * formed**setting.format_levels
        return np.asarray(right)

    def answers(self, step: int, problems: int, look: int = 0) -> NDArray[np.bool_]:
        """Return which of the first `problems` held-out problems checkpoint `step` answers; look: another draw."""
        rng = _rng(self.kind.name, self.seed, f"answers {step} {look}")
        chosen: NDArray[np.bool_] = rng.random(problems) < self.held_out(step)[:problems]
        return chosen

    @cached_property
    def checkpoints(self) -> tuple[int, ...]:
        """Steps of the saved checkpoints, 25 a run and the base model."""
        every = self.kind.steps // CHECKPOINTS
        return tuple(range(0, self.kind.steps + 1, every))

    def points(self, logging_steps: int = 1) -> list[tuple[int, dict[str, float]]]:
        """Return the logged points: (step, metrics), averages over `logging_steps` steps each, as TRL's."""
        names = list(self.steps)
        count = self.kind.steps // logging_steps
        columns = [
            self.steps[n][: count * logging_steps].reshape(count, logging_steps).mean(1).tolist()
            for n in names
        ]
        return [
            ((i + 1) * logging_steps, dict(zip(names, row, strict=True)))
            for i, row in enumerate(zip(*columns, strict=True))
        ]

    def case(self, logging_steps: int = 1) -> Case:
        """Return the run for the shared scoring; `selection` holds one draw of 128 problems a checkpoint."""
        setting = self.setting
        rewards = {"accuracy_reward": RewardRange(graded=setting.accuracy_levels > 1)}
        if setting.format_logged:
            rewards["format_reward"] = RewardRange(graded=setting.format_levels > 1)
        return Case(
            f"{self.kind.name}_{self.seed}",
            self.points(logging_steps),
            KINDS_OF_CASES[self.kind.group],
            self.truth,
            completions=setting.completions * logging_steps,
            group=setting.group,
            completion_limit=int(setting.limit),
            rewards=rewards,
            selection={c: float(self.answers(c, 128).mean()) for c in self.checkpoints},
            report={c: float(self.held_out(c).mean()) for c in self.checkpoints},
        )


def make(name: str, seed: int) -> Run:
    """Return the run of a kind (see KINDS) and seed; the same ones always give the same run."""
    if name not in KINDS:
        raise ValueError(f"there is no kind {name!r} of run; there are {', '.join(KINDS)}")
    kind = KINDS[name]
    setting, course = prepared(_rng(name, seed, "setting"), kind, drawn_setting(_rng(name, seed)))
    rng = _rng(name, seed, "state")
    calm = state = troubled(rng, kind, policy.learnt(rng, setting, course, kind.steps))
    if kind.change and kind.truth:
        since = np.maximum(0, np.arange(1, kind.steps + 1, dtype=float) - kind.truth)
        state = kind.change(rng, setting, calm, since)
    rng = _rng(name, seed, "batch")
    problems = drawn_problems(rng, setting, setting.problems)
    which = visits(rng, setting.problems, kind.steps, setting.prompts)
    values = batch.logged(rng, setting, problems, which, state)
    rate = policy.rates(kind.steps, setting.warmup)
    drift = np.cumsum(rate) / rate.sum()
    values["kl"] = 0.05 * drift * np.exp(0.1 * rng.standard_normal(kind.steps)) + 0.1 * state.gap
    values["learning_rate"] = 1e-5 * rate
    held = drawn_problems(_rng(name, seed, "held out"), setting, HELD_OUT)
    return Run(kind, seed, setting, problems, state, calm, values, held)


def _rng(name: str, seed: int, part: str = "") -> np.random.Generator:
    return np.random.default_rng(
        [VERSION, zlib.crc32(name.encode()), seed, zlib.crc32(part.encode())]
    )
