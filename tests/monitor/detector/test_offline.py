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


def test_a_very_long_run_is_thinned() -> None:
    opinion = second_opinion(samples(**healthy(9000)), SHAPE)
    assert "over 3000 points" in opinion.words
