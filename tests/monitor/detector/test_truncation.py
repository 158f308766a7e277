"""Completions cut at the token limit, and policies that go silent."""

import numpy as np

from tests.monitor.detector.runs import (
    fold,
    learning,
    noisy_factor,
    noisy_share,
    ramp,
    samples,
    stop_of,
    watched,
)

STEPS = 400


def base(seed: int = 0) -> dict[str, np.ndarray]:
    return {
        "format_reward": noisy_share(learning(STEPS), seed),
        "accuracy_reward": noisy_share(np.full(STEPS, 0.5), seed + 1),
        "completion_length": noisy_factor(600 - 200 * ramp(STEPS, 20, 120), seed + 2, 0.06),
        "entropy": noisy_factor(np.full(STEPS, 0.4), seed + 3, 0.06),
    }


def test_length_that_turns_with_the_truncated_share_confirms() -> None:
    more = ramp(STEPS, 200, 260)
    for seed in range(4):
        run = base(seed)
        run["completion_length"] *= 1 + 0.8 * more
        run["clipped_ratio"] = noisy_share(0.04 + 0.3 * more, seed + 4)
        stop = stop_of(fold(samples(**run)))
        assert stop is not None
        assert 200 < stop.step < 280
        assert "truncated share rose from 0.0" in stop.words


def test_a_truncated_share_that_stays_small_is_no_evidence() -> None:
    run = base()
    run["clipped_ratio"] = noisy_share(0.01 + 0.07 * ramp(STEPS, 200, 260), 4)
    assert not watched(fold(samples(**run)))


def test_a_truncated_share_alone_is_suspected_and_not_confirmed() -> None:
    run = base()
    run["clipped_ratio"] = noisy_share(0.04 + 0.3 * ramp(STEPS, 200, 260), 4)
    verdicts = fold(samples(**run))
    assert watched(verdicts)
    assert stop_of(verdicts) is None


def test_a_run_whose_completions_are_all_cut_is_not_called_adapting() -> None:
    """As in a public run: at its length limit from step 80 of 250 on, format never learnt."""
    cut = ramp(250, 60, 80)
    run = {
        "format_reward": noisy_share(np.full(250, 0.3), 1),
        "completion_length": noisy_factor(400 + 600 * cut, 2, 0.02),
        "clipped_ratio": noisy_share(0.02 + 0.98 * cut, 3),
    }
    verdicts = fold(samples(**run))
    stop = stop_of(verdicts)
    assert stop is not None
    assert stop.step <= 120


def test_a_policy_that_goes_silent_is_a_collapse() -> None:
    gone = ramp(STEPS, 200, 280)
    run = base()
    run["entropy"] = run["entropy"] * np.exp(-3 * gone)
    run["completion_length"] = run["completion_length"] * np.exp(-1.2 * gone)
    run["frac_reward_zero_std"] = 0.1 + 0.8 * gone
    last = fold(samples(**run))[-1]
    assert last.phase == "collapsed"
    assert "the policy goes silent: entropy 0.4" in last.words
    assert last.transition is not None
    assert last.transition.safe_step < 290


def test_shorter_answers_of_a_surer_policy_are_not_silence_while_groups_differ() -> None:
    gone = ramp(STEPS, 200, 280)
    run = base()
    run["entropy"] = run["entropy"] * np.exp(-3 * gone)
    run["completion_length"] = run["completion_length"] * np.exp(-1.2 * gone)
    run["frac_reward_zero_std"] = np.full(STEPS, 0.2)
    assert fold(samples(**run))[-1].phase == "adapted"
