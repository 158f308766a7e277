"""The rise of the format reward: its middle (onset) and its end (saturation) are dated as a person would."""

import numpy as np
import pytest

from monitor.detector import ChangePoint, Verdict
from monitor.detector.format_rise import rise_in
from monitor.detector.signal.history import Array
from tests.monitor.detector.runs import (
    fold,
    healthy,
    learning,
    noisy_factor,
    noisy_share,
    ramp,
    samples,
)

SEEDS = range(4)


def run_with(format_reward: Array) -> list[Verdict]:
    """Return the verdicts on a run with this format reward and a length that falls a little."""
    length = noisy_factor(np.full(len(format_reward), 500.0), 9, 0.05)
    return fold(samples(format_reward=format_reward, completion_length=length))


def dated(verdict: Verdict, kind: str) -> ChangePoint:
    return next(point for point in verdict.change_points if point.kind == kind)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_steep_rise_is_dated_where_it_is_not_where_a_running_median_follows(seed: int) -> None:
    """A clipped reading follows a jump of many sd only when half of its window is past it."""
    noise = np.random.default_rng(seed).normal(0, 0.05, 200)
    onset = dated(run_with(-0.5 + 4.0 * (np.arange(200) >= 60) + noise)[-1], "onset")
    assert abs(onset.step - 60) <= 1
    assert onset.low <= 60 <= onset.high


@pytest.mark.parametrize("seed", SEEDS)
def test_onset_is_the_middle_and_saturation_ninety_percent_of_the_rise(seed: int) -> None:
    """From the study's labels: a clean rise takes 17 to 29 steps from 10 to 90 %."""
    level = 0.1 + 0.8 / (1 + np.exp(-(np.arange(1, 301) - 120.0) / 6))
    last = run_with(noisy_share(level, seed))[-1]
    onset, saturation = dated(last, "onset"), dated(last, "saturation")
    assert abs(onset.step - 120) <= 3
    assert abs(saturation.step - 133) <= 5
    assert onset.low <= 120 <= onset.high
    assert saturation.low <= 133 <= saturation.high


def test_the_unit_of_the_reward_does_not_matter() -> None:
    share = noisy_share(learning(200), 3)
    rise, other = rise_in(share), rise_in(-3 + 10 * share)
    assert rise is not None
    assert other is not None
    assert (rise.onset, rise.saturation) == (other.onset, other.saturation)
    assert other.height == pytest.approx(10 * rise.height)


def test_missing_points_are_no_points() -> None:
    level = learning(200, at=80)
    rewards = noisy_share(level, 5)
    rewards[np.random.default_rng(5).random(200) < 0.3] = np.nan
    rise = rise_in(rewards)
    assert rise is not None
    assert abs(rise.onset.at - 80) <= 6


def test_the_larger_of_two_rises_is_the_onset() -> None:
    """As in a log of the study: a small first step around 80, the main one at 135."""
    level = -1 + 1.5 * ramp(300, 70, 95) + 4.2 * ramp(300, 125, 145)
    verdicts = run_with(level + np.random.default_rng(1).normal(0, 0.2, 300))
    onset = dated(verdicts[-1], "onset")
    assert abs(onset.step - 132) <= 6
    assert all(p.step <= p.seen_at_step for v in verdicts for p in v.change_points)


def test_a_rise_that_is_over_stays_the_same_change_when_it_is_dated_again() -> None:
    verdicts = run_with(noisy_share(learning(400), 0))
    onsets = [point for v in verdicts for point in v.change_points if point.kind == "onset"]
    over = [point for point in onsets if point.state == "confirmed"]
    assert onsets[0].state == "provisional"
    assert len({point.step for point in onsets}) > 1
    assert len({point.seen_at_step for point in over}) == 1
    assert all(point.step <= point.seen_at_step for point in onsets)


def test_what_follows_a_transition_does_not_move_the_onset() -> None:
    run = healthy(steps=500)
    run["format_reward"] = noisy_share(learning(500) - 0.6 * ramp(500, 150, 170), 2)
    verdicts = fold(samples(**run))
    confirmed = [v for v in verdicts if v.phase == "past"]
    assert len({dated(v, "onset").step for v in confirmed}) == 1


def test_a_rise_long_after_the_beginning_is_dated_in_steps_of_the_run() -> None:
    onset = dated(run_with(noisy_share(learning(2600, low=0.1, at=2300), 4))[-1], "onset")
    assert abs(onset.step - 2300) <= 4


def test_nothing_rose() -> None:
    assert rise_in(np.linspace(1, 0, 100)) is None
    assert rise_in(np.full(100, 0.5)) is None
    assert rise_in(np.array([0.0, 1.0])) is None
    assert rise_in(np.full(100, np.nan)) is None


def test_a_rise_that_is_no_longer_remembered_keeps_its_date() -> None:
    level = learning(4000, low=0.1, high=0.8, at=60) + 0.1 * ramp(4000, 500, 4000)
    onset = dated(run_with(noisy_share(level, 6))[-1], "onset")
    assert abs(onset.step - 60) <= 4
