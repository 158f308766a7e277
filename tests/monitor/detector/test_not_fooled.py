"""What is no transition does not count as one."""

import numpy as np
import pytest

from monitor.detector import RunShape
from tests.monitor.detector.runs import (
    fold,
    healthy,
    learning,
    noisy_factor,
    noisy_share,
    ramp,
    samples,
    stop_of,
    watched,
)


@pytest.mark.parametrize("seed", range(3))
def test_single_bad_steps_in_all_metrics_together_do_not_count(seed: int) -> None:
    run = healthy(500, seed)
    for at in (150, 151, 230, 310, 311, 400):
        run["format_reward"][at] *= 0.3
        run["accuracy_reward"][at] *= 0.2
        run["completion_length"][at] *= 1.8
        run["entropy"][at] *= 1.6
    verdicts = fold(samples(**run))
    assert stop_of(verdicts) is None
    assert sum(v.phase == "turning" for v in verdicts) <= 24  # two in a row are looked at


@pytest.mark.parametrize("seed", range(3))
def test_hard_prompts_that_move_all_metrics_of_a_step_together_do_not_stop(seed: int) -> None:
    steps = 600
    hard = np.random.default_rng(seed).normal(0, 1, steps)
    run = {
        "format_reward": np.clip(learning(steps, high=0.85) - 0.06 * hard, 0, 1),
        "accuracy_reward": np.clip(0.5 - 0.1 * hard, 0, 1),
        "completion_length": (600 - 200 * ramp(steps, 20, 120)) * np.exp(0.1 * hard),
        "entropy": 0.2 * np.exp(0.1 * hard),
    }
    assert stop_of(fold(samples(**run))) is None


def test_a_metric_saturated_from_the_start_does_not_count_for_a_rare_dip() -> None:
    format_reward = np.ones(800)
    format_reward[[90, 91, 200, 377, 540, 541, 700]] = 0.875
    run = {
        "format_reward": format_reward,
        "completion_length": noisy_factor(np.full(800, 60.0), 1, 0.1),
    }
    verdicts = fold(samples(**run))
    assert not watched(verdicts)
    assert verdicts[-1].phase == "adapted"


@pytest.mark.parametrize("seed", range(3))
def test_a_reward_of_one_prompt_that_is_0_or_1_does_not_stop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = {
        "format_reward": (rng.random(500) < 0.8).astype(float),
        "accuracy_reward": (rng.random(500) < 0.4).astype(float),
        "completion_length": noisy_factor(np.full(500, 400.0), seed, 0.4),
    }
    assert stop_of(fold(samples(**run), RunShape())) is None


def test_a_reward_that_is_almost_always_0_does_not_stop() -> None:
    rng = np.random.default_rng(5)
    run = {"accuracy_reward": np.where(rng.random(600) < 0.04, rng.choice([0.33, 1.33], 600), 0.0)}
    run["format_reward"] = noisy_share(learning(600), 6)
    assert stop_of(fold(samples(**run), RunShape())) is None


@pytest.mark.parametrize("shape", ["linear", "two_stage", "flattening"])
def test_any_movement_in_the_good_direction_is_no_evidence(shape: str) -> None:
    t = np.arange(600)
    level = {
        "linear": 0.2 + 0.7 * t / 600,
        "two_stage": 0.2 + 0.35 * ramp(600, 50, 80) + 0.4 * ramp(600, 300, 340),
        "flattening": 0.2 + 0.7 * (1 - np.exp(-t / 100)),
    }[shape]
    run = {
        "format_reward": noisy_share(level, 1),
        "accuracy_reward": noisy_share(0.6 * level, 2),
        "completion_length": noisy_factor(900 * (1 - 0.5 * level), 3, 0.08),
        "entropy": noisy_factor(0.5 - 0.3 * level, 4, 0.05),
    }
    assert not watched(fold(samples(**run)))


def test_a_length_that_only_grows_is_no_reversal() -> None:
    run = {
        "format_reward": noisy_share(learning(500), 1),
        "completion_length": noisy_factor(400 + 100 * ramp(500, 0, 500), 2, 0.08),
    }
    assert not watched(fold(samples(**run)))


def test_length_at_its_limit_from_the_start_is_no_collapse() -> None:
    run = {
        "completion_length": np.full(300, 1000.0),
        "clipped_ratio": np.ones(300),
        "format_reward": np.zeros(300),
        "accuracy_reward": np.zeros(300),
    }
    verdicts = fold(samples(**run))
    assert {v.phase for v in verdicts} == {"warming_up"}


def test_constant_metrics_give_no_evidence_and_no_error() -> None:
    run = {name: np.full(300, 0.5) for name in ("format_reward", "accuracy_reward", "entropy")}
    run["completion_length"] = np.full(300, 200.0)
    assert max(v.score for v in fold(samples(**run))) == 0


def test_correlated_noise_does_not_stop() -> None:
    steps, stops = 800, 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        wander = np.zeros(steps)
        for i in range(1, steps):
            wander[i] = 0.9 * wander[i - 1] + rng.normal(0, 0.03)
        run = {"format_reward": noisy_share(learning(steps, high=0.8) + wander, seed)}
        stops += stop_of(fold(samples(**run))) is not None
    assert stops == 0
