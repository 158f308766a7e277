"""The transition is found, dated, explained, and stays found."""

import re

import numpy as np
import pytest

from monitor.detector import Detector, RewardRange, RunShape, Sample
from tests.monitor.detector.runs import (
    SHAPE,
    fold,
    healthy,
    learning,
    noisy_factor,
    noisy_share,
    ramp,
    samples,
    stop_of,
    watched,
    with_transition,
)

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_transition_in_all_metrics_is_confirmed_soon_and_dated_near_its_start(seed: int) -> None:
    stop = stop_of(fold(samples(**with_transition(at=200, seed=seed * 10))))
    assert stop is not None
    assert stop.transition is not None
    assert 200 < stop.step < 260
    assert stop.transition.low <= 225
    assert stop.transition.high >= 185
    assert abs(stop.transition.step - 200) <= 30
    assert stop.transition.safe_step <= stop.transition.step
    assert stop.transition.seen_at_step == stop.step
    assert stop.phase == "past"


@pytest.mark.parametrize("seed", SEEDS)
def test_format_and_length_alone_are_enough(seed: int) -> None:
    run = with_transition(at=200, seed=seed * 10)
    run = {name: run[name] for name in ("format_reward", "completion_length")}
    stop = stop_of(fold(samples(**run)))
    assert stop is not None
    assert 200 < stop.step < 300


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_run_is_never_stopped_and_ends_adapted(seed: int) -> None:
    verdicts = fold(samples(**healthy(seed=seed * 10)))
    assert stop_of(verdicts) is None
    assert verdicts[-1].phase == "adapted"


def test_phases_follow_the_story_of_the_run() -> None:
    verdicts = fold(samples(**with_transition(at=200)))
    seen = list(dict.fromkeys(verdict.phase for verdict in verdicts))
    assert seen == ["warming_up", "adapting", "adapted", "turning", "past"]


def test_onset_and_saturation_are_dated_once_the_rise_is_over() -> None:
    verdicts = fold(samples(**healthy()))
    onset, saturation = (p for p in verdicts[-1].change_points)
    assert (onset.kind, saturation.kind) == ("onset", "saturation")
    assert abs(onset.step - 40) <= 6
    assert onset.low <= onset.step <= onset.high
    assert 45 <= saturation.step <= 75
    assert onset.state == saturation.state == "confirmed"


def test_the_date_is_frozen_once_confirmed() -> None:
    verdicts = fold(samples(**with_transition(at=200)))
    confirmed = [v.transition for v in verdicts if v.phase == "past"]
    assert len(set(confirmed)) == 1


def test_recovery_of_format_alone_does_not_clear_the_verdict() -> None:
    run = with_transition(steps=500, at=200)
    run["format_reward"][300:] = noisy_share(np.full(200, 0.97), 9)
    assert fold(samples(**run))[-1].phase == "past"


def test_a_false_start_that_dies_out_is_withdrawn_and_stays_on_record() -> None:
    steps = 600
    bump = ramp(steps, 200, 220) - ramp(steps, 240, 260)
    length = 600 - 200 * ramp(steps, 20, 120) + 80 * bump
    run = {"completion_length": noisy_factor(length, 1, 0.08)}
    verdicts = fold(samples(**run, format_reward=np.ones(steps)))
    assert any(v.phase == "turning" for v in verdicts)
    assert verdicts[-1].phase == "adapted"
    assert verdicts[-1].transition is None
    (turn,) = verdicts[-1].change_points
    assert (turn.kind, turn.state) == ("length_turn", "faded")
    assert turn.low <= 210 <= turn.high < turn.seen_at_step < 260
    assert "died out by step" in turn.words


def test_what_faded_is_bounded() -> None:
    steps = 6000
    bumps = sum(
        ramp(steps, a, a + 20) - ramp(steps, a + 40, a + 60) for a in range(200, steps, 250)
    )
    length = 600 - 200 * ramp(steps, 20, 120) + 120 * bumps
    verdicts = fold(
        samples(completion_length=noisy_factor(length, 1, 0.05), format_reward=np.ones(steps))
    )
    faded = [p for p in verdicts[-1].change_points if p.state == "faded"]
    assert 2 <= len(faded) <= 8
    assert len({(p.kind, p.seen_at_step) for p in faded}) == len(faded)


def test_length_alone_is_watched_but_never_stops() -> None:
    steps = 500
    length = 600 - 200 * ramp(steps, 20, 120) + 400 * ramp(steps, 200, 300)
    run = {"completion_length": noisy_factor(length, 1, 0.05)}
    for extra in ({}, {"format_reward": np.ones(steps)}):
        verdicts = fold(samples(**run, **extra))
        assert stop_of(verdicts) is None
        assert verdicts[-1].phase == "turning"
        assert verdicts[-1].transition is not None
        assert verdicts[-1].transition.state == "provisional"
        assert "length_turn" in [p.kind for p in verdicts[-1].change_points]


def test_a_data_shift_that_moves_length_and_accuracy_does_not_stop() -> None:
    steps = 500
    shift = np.arange(steps) >= 300
    run = healthy(steps)
    run["completion_length"] *= 1 + 0.2 * shift
    run["accuracy_reward"] = noisy_share(np.where(shift, 0.4, 0.5), 5)
    assert stop_of(fold(samples(**run))) is None


def test_accuracy_that_is_lost_confirms_alone() -> None:
    run = healthy()
    run["accuracy_reward"] = noisy_share(0.5 - 0.48 * ramp(400, 200, 230), 4)
    stop = stop_of(fold(samples(**run)))
    assert stop is not None
    assert 200 < stop.step < 250


def test_an_accuracy_dip_to_two_fifths_is_not_enough_alone() -> None:
    run = healthy()
    dip = ramp(400, 200, 215) - ramp(400, 250, 300)
    run["accuracy_reward"] = noisy_share(0.5 - 0.3 * dip, 4)
    assert stop_of(fold(samples(**run))) is None


def test_longer_answers_with_more_entropy_do_not_stop_while_rewards_stay_good() -> None:
    run = healthy()
    more = ramp(400, 200, 220)
    run["completion_length"] = noisy_factor(400 + 200 * more, 1, 0.06)
    run["entropy"] = noisy_factor(0.2 * (1 + 0.6 * more), 3, 0.06)
    verdicts = fold(samples(**run))
    assert stop_of(verdicts) is None
    assert watched(verdicts)
    worse = {**run, "format_reward": noisy_share(learning(400) - 0.15 * more, 4)}
    assert stop_of(fold(samples(**worse))) is not None


def test_the_step_to_keep_lies_before_accuracy_began_to_fall() -> None:
    run = with_transition(at=220)
    run["accuracy_reward"] = noisy_share(0.6 - 0.3 * ramp(400, 150, 230), 2)
    stop = stop_of(fold(samples(**run)))
    assert stop is not None
    assert stop.transition is not None
    assert stop.transition.safe_step <= 155
    del run["accuracy_reward"]
    blind = stop_of(fold(samples(**run)))
    assert blind is not None
    assert blind.transition is not None
    assert blind.transition.safe_step > 180


def test_the_interval_of_a_slow_turn_reaches_back_further_than_the_scan_looks() -> None:
    steps, turned = 1400, 300
    length = 600 - 200 * ramp(steps, 20, 120) + 100 * ramp(steps, turned, 2400)
    verdicts = fold(samples(completion_length=noisy_factor(length, 1, 0.06)))
    late = verdicts[-1].transition
    assert late is not None
    assert late.seen_at_step > turned + 512
    assert late.low <= turned <= late.high


def test_entropy_that_creeps_up_alone_does_not_stop() -> None:
    run = healthy(600)
    run["entropy"] = noisy_factor(0.1 + 0.12 * ramp(600, 200, 600), 3, 0.06)
    assert stop_of(fold(samples(**run))) is None


def test_entropy_that_surges_confirms() -> None:
    run = healthy()
    run["entropy"] = noisy_factor(0.35 + 1.0 * ramp(400, 200, 260), 3, 0.06)
    stop = stop_of(fold(samples(**run)))
    assert stop is not None
    assert 200 < stop.step < 270


def test_the_normal_fall_of_entropy_is_no_evidence() -> None:
    run = {"format_reward": noisy_share(learning(400), 1)}
    run["entropy"] = noisy_factor(0.5 * np.exp(-np.arange(400) / 100), 2, 0.05)
    assert max(v.score for v in fold(samples(**run))) < 22


def test_destabilisation_that_only_shakes_format_is_seen() -> None:
    steps = 600
    rng = np.random.default_rng(2)
    shake = np.where(np.arange(steps) >= 300, rng.normal(0, 0.12, steps), 0.0)
    run = {
        "format_reward": noisy_share(learning(steps, high=0.85) + shake, 3),
        "completion_length": noisy_factor(
            600 - 200 * ramp(steps, 20, 120) + 150 * ramp(steps, 300, 420), 4, 0.06
        ),
    }
    verdicts = fold(samples(**run))
    volatility = max(
        e.score for v in verdicts for e in v.evidence if e.metric == "format_volatility"
    )
    assert volatility > 6
    assert stop_of(verdicts) is not None


def test_the_sentence_says_when_what_and_how_sure() -> None:
    stop = stop_of(fold(samples(**with_transition(at=200))))
    assert stop is not None
    assert stop.transition is not None
    t = stop.transition
    assert stop.words.startswith(
        f"Since step {t.step} (likely {t.low}-{t.high}) format reward fell from 0.9"
    )
    assert "completion length turned from " in stop.words
    assert " tokens" in stop.words
    assert f"Evidence {stop.score:.0f} (" in stop.words
    assert f"confirmed at {stop.confirm:.0f})" in stop.words


@pytest.mark.parametrize("seed", SEEDS)
def test_it_confirms_only_what_has_lasted_sixteen_points(seed: int) -> None:
    run = with_transition(at=200, seed=10 * seed)
    run["format_reward"][200:] = noisy_share(np.full(200, 0.5), seed)
    verdicts = fold(samples(**run))
    stop = stop_of(verdicts)
    assert stop is not None
    assert 214 <= stop.step <= 222
    waiting = [v for v in verdicts if v.phase == "turning" and v.score >= v.confirm]
    assert waiting
    assert any(re.search(r"if it lasts: \d+ of 16 points have", v.words) for v in waiting)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_burst_that_is_over_is_suspected_at_most(seed: int) -> None:
    run = healthy(400, seed)
    for name in ("format_reward", "accuracy_reward"):
        run[name][200:212] *= 0.6
    verdicts = fold(samples(**run))
    assert watched(verdicts)
    assert stop_of(verdicts) is None
    assert verdicts[-1].transition is None


def test_a_length_that_has_grown_for_long_does_not_pay_for_a_wobble() -> None:
    steps = 900
    for seed in range(4):
        length = 400 - 80 * ramp(steps, 20, 120) + 500 * ramp(steps, 150, 900)
        wobble = 0.03 * (ramp(steps, 700, 705) - ramp(steps, 760, 765))
        run = {
            "format_reward": noisy_share(learning(steps) - wobble, seed),
            "accuracy_reward": noisy_share(0.3 + 0.4 * ramp(steps, 30, 900), seed + 9),
            "completion_length": noisy_factor(length, seed, 0.06),
        }
        assert stop_of(fold(samples(**run))) is None


def test_length_may_speak_after_a_fall_of_four_sigmas() -> None:
    armed = 0
    for seed in range(8):
        level = np.where(np.arange(160) < 60, 600.0, 558.0)
        length = noisy_factor(level, seed, 0.08)
        run = samples(format_reward=noisy_share(learning(160), seed), completion_length=length)
        armed += next(e.armed for e in fold(run)[-1].evidence if e.metric == "completion_length")
    assert armed >= 6


def test_evidence_of_metrics_adds_up_to_the_score() -> None:
    for verdict in fold(samples(**with_transition(at=200))):
        assert sum(e.score for e in verdict.evidence) == pytest.approx(verdict.score)


def test_metrics_that_are_not_armed_say_why() -> None:
    flat = {
        "format_reward": noisy_share(np.full(100, 0.1), 1),
        "completion_length": np.linspace(300, 310, 100),
    }
    words = {e.metric: e for e in fold(samples(**flat))[-1].evidence}
    assert not words["format_reward"].armed
    assert "neither risen" in words["format_reward"].words
    assert "has not fallen yet" in words["completion_length"].words
    assert words["entropy"].words == "entropy is not measured"


def test_a_boundary_restarts_the_scan_but_keeps_what_is_confirmed() -> None:
    shifted = with_transition(steps=300, at=200)
    detector = Detector(SHAPE)
    for sample in samples(**shifted)[:195]:
        detector.update(sample)
    detector.boundary()
    assert all(detector.update(s).transition is None for s in samples(**shifted)[260:])

    detector = Detector(SHAPE)
    for sample in samples(**shifted):
        verdict = detector.update(sample)
    detector.boundary()
    after = detector.update(Sample(301, {"format_reward": 0.9}))
    assert after.phase == "past"
    assert after.transition == verdict.transition


def test_steps_that_do_not_increase_are_refused_with_the_way_out() -> None:
    detector = Detector(SHAPE)
    detector.update(Sample(5, {}))
    with pytest.raises(ValueError, match="step 5 came after step 5; sort the samples"):
        detector.update(Sample(5, {}))


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown preset 'fast'; choose one of default"):
        Detector(RunShape(), "fast")


def test_a_preset_moves_the_levels() -> None:
    run = samples(**with_transition(at=200))
    stops = {name: stop_of(fold(run, preset=name)) for name in ("eager", "default", "cautious")}
    eager, default, cautious = (stops[n] for n in ("eager", "default", "cautious"))
    assert eager
    assert default
    assert cautious
    assert eager.step <= default.step <= cautious.step


def test_a_declared_graded_reward_is_found_too() -> None:
    run = with_transition(at=200)
    shape = RunShape(rewards={"format_reward": RewardRange(-1.0, 3.0, graded=True)})
    run["format_reward"] = run["format_reward"] * 4 - 1
    stop = stop_of(fold(samples(**run), shape))
    assert stop is not None
    assert 200 < stop.step < 260


def test_an_unknown_reward_range_is_learnt_on_the_way() -> None:
    run = with_transition(at=200)
    run["format_reward"] = run["format_reward"] * 4 - 0.5
    stop = stop_of(fold(samples(**run), RunShape()))
    assert stop is not None
    assert 200 < stop.step < 280
