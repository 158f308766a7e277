"""The simulated GRPO runs behave as GRPO does, and a transition shows after its truth only."""

import numpy as np
import pytest

from benchmarks.detector.grpo_simulation import KINDS, Run, make

POSITIVE = [name for name, kind in KINDS.items() if kind.group == "positive"]
HEALTHY = [name for name, kind in KINDS.items() if kind.group != "positive"]


@pytest.mark.parametrize("name", ["steady", "drop_strong_450", "tina_450"])
def test_a_seed_gives_the_same_run_again_and_another_seed_another(name: str) -> None:
    assert make(name, 3).points() == make(name, 3).points()
    assert make(name, 3).points() != make(name, 4).points()


def test_an_unknown_kind_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no kind 'drop' of run; there are steady"):
        make("drop", 0)


@pytest.mark.parametrize("every", [5, 10, 25])
def test_a_log_of_every_kth_step_is_the_average_of_its_steps(every: int) -> None:
    run = make("harder", 5)
    fine, coarse = run.points(), run.points(every)
    assert [step for step, _ in coarse] == list(range(every, run.kind.steps + 1, every))
    for at in (0, 17, len(coarse) - 1):
        part = [metrics for _, metrics in fine[at * every : (at + 1) * every]]
        for name, value in coarse[at][1].items():
            assert value == pytest.approx(np.mean([metrics[name] for metrics in part])), name


@pytest.mark.parametrize("name", POSITIVE)
def test_a_transition_changes_the_policy_after_its_truth_and_not_before(name: str) -> None:
    for seed in range(3):
        run = make(name, seed)
        assert run.truth
        for part in vars(run.state):
            before, calm = getattr(run.state, part), getattr(run.calm, part)
            assert np.array_equal(before[: run.truth], calm[: run.truth]), part
        moved = [
            p for p in vars(run.state) if getattr(run.state, p)[-1] != getattr(run.calm, p)[-1]
        ]
        assert set(moved) - {"gap"}, "nothing that the metrics show has moved"
        assert run.held_out(run.kind.steps).mean() < _calm(run).mean(), (
            "and it costs held-out skill"
        )


def _calm(run: Run) -> np.ndarray:
    return Run(
        run.kind, run.seed, run.setting, run.problems, run.calm, run.calm, run.steps, run.held
    ).held_out(run.kind.steps)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_ends_no_worse_than_its_best_checkpoint(name: str) -> None:
    for seed in range(6):
        report = make(name, seed).case().report
        assert max(report.values()) - report[max(report)] < 0.05


def test_a_cut_completion_has_neither_format_nor_answer() -> None:
    for seed in range(4):
        for _, metrics in make("cap_450", seed).points():
            whole = 1 - metrics["clipped_ratio"] + 1e-6
            assert metrics["format_reward"] <= whole
            assert metrics["accuracy_reward"] <= whole


def test_answers_at_the_limit_lower_format_that_is_as_easy_as_before() -> None:
    run = make("cap_450", 1)
    assert np.array_equal(run.state.format, run.calm.format)
    format_ = run.steps["format_reward"]
    assert format_[-50:].mean() < format_[400:450].mean() - 0.3


def test_growing_answers_come_with_rising_accuracy_and_stay_far_from_the_limit() -> None:
    for seed in range(6):
        steps = make("growing", seed).steps
        assert steps["accuracy_reward"][-200:].mean() > steps["accuracy_reward"][:100].mean() + 0.05
        assert steps["clipped_ratio"][-200:].mean() < 0.05
        assert steps["completion_length"][-100:].mean() > 1.3 * steps["completion_length"].min()


def test_tinas_regime_has_format_under_half_and_the_limit_in_play() -> None:
    for seed in range(6):
        steps = make("tina_450", seed).steps
        start, best = steps["format_reward"][:30].mean(), steps["format_reward"][350:450].mean()
        assert 0.1 < start < 0.3 < best < 0.6
        assert steps["format_reward"][-100:].mean() < best - 0.05
        assert 0.2 < steps["clipped_ratio"].mean() < 0.6


@pytest.mark.parametrize("width", [8, 17, 26, 44])
def test_a_sharp_rise_is_as_wide_as_its_name_says(width: int) -> None:
    format_ = np.mean(
        [make(f"sharp_{width}", seed).steps["format_reward"] for seed in range(40)], 0
    )
    low, high = format_[:60].mean(), format_[300:450].mean()
    smooth = np.convolve((format_ - low) / (high - low), np.ones(3) / 3, "same")
    found = int(np.argmax(smooth > 0.9)) - int(np.argmax(smooth > 0.1))
    assert found == pytest.approx(width, abs=4)


def test_a_batch_logs_what_its_completions_have() -> None:
    for seed in range(3):
        run = make("steady", seed)
        weight = run.setting.accuracy_weight
        for _, m in run.points()[::50]:
            assert m["reward"] == pytest.approx(
                weight * m["accuracy_reward"] + m["format_reward"], abs=1e-5
            )
            assert (
                m["completions/min_length"] <= m["completion_length"] <= m["completions/max_length"]
            )
            assert m["completions/mean_terminated_length"] <= m["completion_length"] * (1 + 1e-6)
            assert 0 <= m["frac_reward_zero_std"] <= 1


def test_problems_come_back_every_epoch_so_their_difficulty_repeats() -> None:
    """48 problems, 32 a step: what two steps an epoch apart share is noise that is not the policy's."""
    from benchmarks.detector.grpo_simulation.setting import visits

    order = visits(np.random.default_rng(0), problems=48, steps=30, prompts=32)
    assert [len(set(epoch)) for epoch in order.reshape(-1, 48)] == [48] * 20


def test_answers_to_held_out_problems_follow_their_probabilities() -> None:
    run = make("drop_strong_450", 2)
    chance = run.held_out(425)
    drawn = np.mean([run.answers(425, 300, look) for look in range(200)], 0)
    assert np.abs(drawn - chance).max() < 0.2
    assert drawn.mean() == pytest.approx(chance.mean(), abs=0.01)
    assert run.held_out(475).mean() < chance.mean()


def test_odd_data_lower_the_metrics_and_not_the_held_out_score() -> None:
    run = make("odd_data", 1)
    inside = run.state.odd > 0
    assert 10 <= inside.sum() <= 180
    format_ = run.steps["format_reward"]
    first = int(np.argmax(inside))
    assert format_[inside].mean() < format_[first - 50 : first].mean() - 0.05
    assert run.held_out(first + 5).mean() == pytest.approx(run.held_out(first - 5).mean(), abs=0.03)


def test_a_dip_lowers_the_held_out_score_until_it_heals() -> None:
    run = make("dips", 1)
    scores = np.array([run.held_out(step).mean() for step in range(700, 2001, 5)])
    assert scores.min() < scores[-1] - 0.02
