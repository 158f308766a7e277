"""A hard collapse is told within a few steps, and only a hard one."""

import numpy as np

from cusp.roles.assign import describe
from monitor.detector import RunShape
from monitor.replay.replay import replay
from tests.monitor.detector.runs import (
    SHAPE,
    fold,
    healthy,
    noisy_factor,
    noisy_share,
    samples,
    stop_of,
)

AT = 200


def told(run: dict, shape: RunShape = SHAPE) -> int | None:  # type: ignore[type-arg]
    """Return how many steps after AT the phase is `collapsed`."""
    verdicts = fold(samples(**run), shape)
    first = next((v.step for v in verdicts if v.phase == "collapsed"), None)
    assert first is None or all(v.phase == "collapsed" for v in verdicts[first:])
    return None if first is None else first - AT


def test_format_and_accuracy_gone_is_a_collapse_with_a_confirmed_transition() -> None:
    run = healthy()
    run["format_reward"][AT:] = run["accuracy_reward"][AT:] = 0.0
    verdicts = fold(samples(**run))
    verdict = next(v for v in verdicts if v.phase == "collapsed")
    stop = stop_of(verdicts)
    assert stop is not None
    assert stop.step - AT <= 16
    assert verdict.step - AT <= 40
    assert verdict.transition
    assert verdict.transition.state == "confirmed"
    assert AT - 20 <= verdict.transition.step <= AT + 5
    assert verdict.transition.safe_step < AT
    assert "collapse" in [p.kind for p in verdict.change_points]
    assert "gone" in verdict.words


def test_format_gone_with_length_at_its_limit_is_told_within_ten_steps() -> None:
    run = healthy()
    run["format_reward"][AT:] = 0.0
    run["completion_length"][AT:] = 1000.0
    run["clipped_ratio"] = np.where(np.arange(400) < AT, 0.05, 1.0)
    delay = told(run)
    assert delay is not None
    assert delay <= 10


def test_the_limit_is_known_without_clipped_ratio() -> None:
    run = healthy()
    run["format_reward"][AT:] = 0.0
    run["completion_length"][AT:] = 1000.0
    delay = told(run)
    assert delay is not None
    assert delay <= 10


def test_format_gone_with_length_near_zero_is_told_within_ten_steps() -> None:
    run = healthy()
    run["format_reward"][AT:] = 0.0
    run["completion_length"][AT:] = 1.5
    delay = told(run)
    assert delay is not None
    assert delay <= 10


def test_exploding_entropy_is_told_within_ten_steps() -> None:
    run = healthy()
    run["entropy"][AT:] = noisy_factor(np.full(200, 4.0), 1, 0.1)
    delay = told(run)
    assert delay is not None
    assert delay <= 10


def test_three_lost_steps_are_no_collapse() -> None:
    run = healthy()
    for name in ("format_reward", "accuracy_reward"):
        run[name][AT : AT + 3] = 0.0
    assert told(run) is None


def test_length_at_its_limit_with_good_rewards_is_no_collapse() -> None:
    run = healthy()
    run["completion_length"][AT:] = 1000.0
    run["clipped_ratio"] = np.where(np.arange(400) < AT, 0.05, 1.0)
    assert told(run) is None


def test_rewards_that_were_never_up_are_no_collapse() -> None:
    run = healthy()
    run["format_reward"] = noisy_share(np.full(400, 0.05), 1)
    run["accuracy_reward"] = noisy_share(np.full(400, 0.02), 2)
    assert told(run) is None


def test_a_weak_0_or_1_reward_that_is_0_for_a_while_is_no_collapse() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        assert told({"accuracy_reward": (rng.random(1000) < 0.3).astype(float)}, RunShape()) is None


def test_a_guessed_range_never_shows_that_a_reward_is_gone() -> None:
    format_reward = np.full(400, -0.5)
    format_reward[100] = 4.0
    assert told({"format_reward": format_reward}, RunShape()) is None


def test_entropy_that_vanishes_is_a_collapse_with_a_step_to_keep() -> None:
    entropy = np.where(np.arange(200) < 120, 0.8, 0.001)
    last = fold(samples(entropy=noisy_factor(entropy, 1, 0.1)))[-1]
    assert last.phase == "collapsed"
    assert "entropy vanished" in last.words
    assert last.transition
    assert 105 <= last.transition.safe_step <= 121


def test_the_entropy_of_supervised_training_may_vanish_as_what_is_learnt_by_heart_has_none() -> (
    None
):
    entropy = noisy_factor(1.2 * np.exp(-np.arange(300) / 10) + 0.001, 1, 0.1)
    loss = 1.1 * entropy
    assert fold(samples(entropy=entropy))[-1].phase == "collapsed"
    supervised = fold(samples(entropy=entropy, loss=loss, mean_token_accuracy=np.full(300, 0.9)))
    assert {one.phase for one in supervised} == {"warming_up"}
    assert supervised[-1].words == (
        "By step 300 a loss is logged and no rewards, so there is no format transition to see."
    )
    rewarded = fold(samples(entropy=entropy, loss=loss, reward=np.full(300, 0.5)))
    assert rewarded[-1].phase == "collapsed"


def test_a_loop_with_rewards_under_names_of_its_own_is_not_taken_for_supervised_training() -> None:
    """The names are not the detector's, so nothing of completions is measured: loss and entropy are."""
    entropy = noisy_factor(1.2 * np.exp(-np.arange(300) / 10) + 0.001, 1, 0.1)
    run = {"entropy": entropy, "loss": 1.1 * entropy}
    for said in (run, {**run, "my_score": np.full(300, 0.5)}):
        last = replay(samples(**said)).verdicts[-1]
        assert last.phase == "collapsed"
        assert "entropy vanished" in last.words
    found = replay(samples(loss=run["loss"], my_score=np.full(300, 0.5)))
    assert "a loss is logged and no rewards" not in found.verdicts[-1].words
    words = " ".join(describe(found.roles.assignment))
    assert "No rewards are logged" not in words
    assert "my_score" in words


def test_a_format_that_dies_in_the_first_points_with_the_length_is_a_collapse() -> None:
    length = np.where(np.arange(60) < 1, 53.0, 2.5)
    run = {"format_reward": np.where(np.arange(60) < 1, 0.15, 0.0), "completion_length": length}
    step = told(run)
    assert step is not None
    assert step + AT <= 12


def test_a_log_of_every_tenth_step_is_judged_on_fewer_points() -> None:
    run = samples(format_reward=np.where(np.arange(120) < 60, 0.9, 0.5))
    coarse = [type(s)(10 * s.step, s.metrics) for s in run]
    fine_stop, coarse_stop = stop_of(fold(run)), stop_of(fold(coarse))
    assert fine_stop
    assert coarse_stop
    assert coarse_stop.step / 10 < fine_stop.step
