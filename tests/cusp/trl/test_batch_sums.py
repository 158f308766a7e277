"""Numbers of a step that the trainer does not log, of real trainings and of made-up ones with a known level."""

import json
import math
import random
import statistics
from pathlib import Path

import pytest

import cusp
from cusp.roles.assign import assign
from cusp.trl.batch_sums import BatchSums, quantities
from cusp.trl.prompt_effects import PromptEffects
from cusp.trl.samples import generation_of, text_of
from tests.e2e.plain_trl import Bench


class Kept:
    """What is read of a trainer: the texts of its last generation."""

    def __init__(self, logs: object) -> None:
        self._logs = logs


def errors(prompts: int, steps: int, most: int = 1_000) -> tuple[list[float], list[float]]:
    """Return by how much the mean and the adjusted mean of each step miss its true level, which rises.

    8 prompts a step, 6 completions each; the prompts' effects have the sd .4, the completions .3.
    """
    rng, effects = random.Random(5), PromptEffects(most)
    effect = [rng.gauss(0, 0.4) for _ in range(prompts)]
    centre = statistics.fmean(effect)
    order: list[int] = []
    raw, adjusted = [], []
    for step in range(steps):
        if len(order) < 8:
            order = rng.sample(range(prompts), prompts)
        level = 5 + 0.5 * step / steps + centre
        drawn = [order.pop() for _ in range(8)]
        groups = {
            p: [level + effect[p] - centre + rng.gauss(0, 0.3) for _ in range(6)] for p in drawn
        }
        found = effects.level(groups)
        assert found is not None
        raw.append(statistics.fmean(map(statistics.fmean, groups.values())) - level)
        adjusted.append(found.adjusted - level)
    return raw, adjusted


def test_known_prompts_leave_the_level_with_the_noise_of_the_completions_alone() -> None:
    raw, adjusted = (each[-300:] for each in errors(prompts=256, steps=600))
    least = 0.3 / math.sqrt(48)  # a level whose prompts' effects are known exactly
    assert statistics.stdev(raw) > 3 * least
    assert statistics.stdev(adjusted) < 1.15 * least
    assert abs(statistics.fmean(adjusted)) < 0.05, "a drift of the policy stays in it"


def test_prompts_that_never_come_back_change_nothing() -> None:
    raw, adjusted = errors(prompts=8_000, steps=300)
    assert adjusted == pytest.approx(raw)


def test_the_prompts_remembered_are_bounded() -> None:
    effects = PromptEffects(most=10)
    for first in range(0, 100, 5):
        effects.level({key: [1.0, 2.0] for key in range(first, first + 5)})
    assert len(effects._visits) == 10
    assert effects.level({1: [2.0]}) is None


def test_a_watched_training_sends_them_with_its_points_and_no_rule_takes_them_for_a_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_MODE", "offline")
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    trainer = Bench(tmp_path / "cache").trainer(tmp_path / "out", logging_steps=2)
    watched = cusp.watch(trainer)
    trainer.train()
    assert watched.run is not None
    folder = watched.run.home / "attempts" / watched.run.attempt_id
    lines = [
        line for file in sorted(folder.glob("spool-*")) for line in file.read_text().splitlines()
    ]
    points = [one for one in map(json.loads, lines) if one["kind"] == "point"]
    assert [one["step"] for one in points] == [2, 4, 6, 8]
    for point in points:
        ours = {name for name in point["metrics"] if name.startswith("cusp/")}
        assert {
            f"cusp/completion_length/{of}" for of in ("adjusted", "adjusted_sem", "sem")
        } <= ours
        assert "cusp/rewards/format_reward/sem" in ours
        assert set(assign(sorted(ours)).members) == set()
    kept = generation_of(trainer)
    assert (len(kept.prompts), len(set(map(text_of, kept.prompts)))) == (12, 2)
    assert all(len(values) == 12 for values in quantities(kept).values())


@pytest.mark.parametrize(
    "logs", [None, {}, {"completion": ["a"]}, {"completion": ["a"], "prompt": []}]
)
def test_a_trainer_that_keeps_no_texts_has_none(logs: object) -> None:
    generation = generation_of(Kept(logs))
    assert BatchSums().of_step({"completions/mean_length": 3.0}, generation) == {}


def test_a_step_without_a_generation_has_none() -> None:
    kept = generation_of(Kept({"completion": ["a", "bb"], "prompt": ["x", "y"], "rewards": {}}))
    sums = BatchSums()
    assert sums.of_step({"loss": 0.1}, kept) == {}
    assert "cusp/completion_length/sem" in sums.of_step({"completions/mean_length": 1.5}, kept)
