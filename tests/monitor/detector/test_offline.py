"""The offline look by ruptures."""

import numpy as np

from monitor.detector import RunShape, second_opinion
from tests.monitor.detector.runs import SHAPE, fold, healthy, samples, stop_of, with_transition


def test_it_agrees_with_the_online_interval_of_a_clear_transition() -> None:
    run = with_transition(at=200)
    jump = np.arange(400) >= 200
    run["format_reward"] = np.clip(run["format_reward"] - 0.2 * jump, 0, 1)
    online = stop_of(fold(samples(**run)))
    assert online is not None
    assert online.transition is not None
    opinion = second_opinion(samples(**run), SHAPE)
    assert opinion.agrees(online.transition.low - 10, online.transition.high + 10)
    assert not opinion.agrees(300, 301)


def test_segments_cover_the_run_and_hold_the_means() -> None:
    run = samples(**healthy())
    opinion = second_opinion(run, SHAPE)
    assert opinion.segments[0].from_step == 1
    assert opinion.segments[-1].to_step == 400
    assert all(
        a.to_step < b.from_step
        for a, b in zip(opinion.segments, opinion.segments[1:], strict=False)
    )
    assert opinion.change_steps == tuple(s.to_step for s in opinion.segments[:-1])
    assert opinion.segments[0].means["format_reward"] < opinion.segments[-1].means["format_reward"]


def test_a_short_series_gets_no_opinion_and_says_why() -> None:
    opinion = second_opinion(samples(**healthy(20)), SHAPE)
    assert opinion.segments == ()
    assert "too few" in opinion.words


def test_constant_metrics_are_one_segment() -> None:
    run = samples(format_reward=np.ones(100), completion_length=np.full(100, 50.0))
    assert len(second_opinion(run, RunShape()).segments) == 1


def test_gaps_and_unknown_ranges_are_taken() -> None:
    run = healthy()
    run["format_reward"] = run["format_reward"] * 3 - 1
    run["entropy"][::3] = np.nan
    assert second_opinion(samples(**run), RunShape()).segments


def test_a_very_long_run_is_averaged_over_blocks() -> None:
    opinion = second_opinion(samples(**healthy(9000)), SHAPE)
    assert opinion.resolution == 71  # 9,000 points in at most 128 blocks
    assert (opinion.segments[0].from_step, opinion.segments[-1].to_step) == (1, 9000)


def test_a_steady_run_has_no_change() -> None:
    noise = np.random.default_rng(3)
    run = samples(
        format_reward=np.clip(noise.normal(0.8, 0.05, 600), 0, 1),
        completion_length=300 * np.exp(noise.normal(0, 0.05, 600)),
    )
    assert second_opinion(run, SHAPE).change_steps == ()


def test_noise_that_lasts_is_no_change_for_the_worse() -> None:
    shocks, level = np.random.default_rng(5).normal(0, 0.05, 800), np.zeros(800)
    for i in range(1, 800):
        level[i] = 0.8 * level[i - 1] + shocks[i]
    run = samples(completion_length=300 * np.exp(level))
    assert not second_opinion(run, RunShape()).worse


def test_a_learning_run_gets_worse_nowhere() -> None:
    opinion = second_opinion(samples(**healthy()), SHAPE)
    assert opinion.change_steps
    assert not opinion.worse
    assert opinion.chance(100, 200) == 0.0


def test_a_fall_is_worse_in_the_metrics_that_fall_and_dated_to_a_block() -> None:
    run = healthy(600)
    fallen = np.arange(600) >= 300
    run["format_reward"] = np.clip(run["format_reward"] - 0.3 * fallen, 0, 1)
    opinion = second_opinion(samples(**run), SHAPE)
    (step,) = opinion.worse
    assert opinion.worse[step] == ("format_reward",)
    assert abs(step - 300) <= 2 * opinion.resolution
    assert opinion.within(280, 320) == step
    assert opinion.within(400, 500) is None
    before = next(one for one in opinion.segments if one.to_step == step)
    assert before.ends["format_reward"][1] > 0.75


def test_a_run_that_is_noisier_after_its_fall_does_not_hide_it() -> None:
    rng, fallen = np.random.default_rng(7), np.arange(600) >= 200
    values = 0.9 - 0.2 * fallen + rng.normal(0, 0.03 + 0.12 * fallen)
    opinion = second_opinion(samples(format_reward=np.clip(values, 0, 1)), RunShape())
    assert any(abs(step - 200) <= 3 * opinion.resolution for step in opinion.worse)


def test_a_sparse_reward_is_not_cut_into_pieces() -> None:
    hits = np.random.default_rng(2).random(120) < 0.08
    run = samples(accuracy_reward=np.where(hits, 0.25, 0.0), completion_length=np.full(120, 300.0))
    opinion = second_opinion(run, RunShape())
    assert len(opinion.change_steps) <= 1  # it was 5 while its noise was taken for none
    assert not opinion.worse


def test_one_bad_batch_is_no_level() -> None:
    run = healthy(600)
    run["completion_length"][400:402] *= 3
    assert not second_opinion(samples(**run), SHAPE).worse


def test_the_chance_of_an_interval_grows_with_its_width() -> None:
    run = healthy(600)
    run["format_reward"][300:] *= 0.6
    opinion = second_opinion(samples(**run), SHAPE)
    narrow, wide = opinion.chance(300, 310), opinion.chance(200, 500)
    assert 0 < narrow < 0.1
    assert wide > 0.5
    assert opinion.chance(1, 600) == 1.0
