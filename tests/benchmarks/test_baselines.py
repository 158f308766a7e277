"""The rules and methods that Cusp is compared with do what their descriptions say, on hand-made runs."""

import math

import numpy as np
import pytest

from benchmarks.detector import scoring
from benchmarks.detector.baselines import rules
from benchmarks.detector.baselines.__main__ import BASELINES
from benchmarks.detector.baselines.changepoints import Focus, PeltRerun
from benchmarks.detector.baselines.evidence import bad, noise
from benchmarks.detector.baselines.habits import Patience
from benchmarks.detector.baselines.method import Course, calibrated, heights, online, outcome
from benchmarks.detector.baselines.workers import ALL, available, installed
from benchmarks.detector.cases import Case
from benchmarks.detector.grpo_simulation import make
from tests.benchmarks.cases import case


def falls(t: int) -> float:
    """Accuracy .8 up to step 100, .2 after it."""
    return 0.8 if t <= 100 else 0.2


def test_the_accuracy_rule_stops_when_the_running_mean_is_below_the_share_of_its_best() -> None:
    course = rules.accuracy(case(200, accuracy_reward=falls))
    found = outcome(case(200, accuracy_reward=falls), course, 1 - 0.6)
    # .2 + .6 * .92^n < .6 * .8 is first true for n = 10
    assert found.stop == 100 + math.ceil(math.log(0.28 / 0.6) / math.log(0.92))
    assert found.safe == 1, "the mean was never better than at its first value"


def test_from_zero_the_running_mean_is_best_last_and_ten_steps_before_that_are_kept() -> None:
    run = case(200, accuracy_reward=falls)
    found = outcome(run, rules.accuracy(run, start=0.0), 1 - 0.6)
    assert found.stop is not None
    assert found.safe == 100 - rules.BACK


def test_the_accuracy_rule_says_nothing_of_a_run_without_accuracy() -> None:
    run = case(200, format_reward=falls)
    assert outcome(run, rules.accuracy(run), 1 - 0.6).stop is None


def test_truncation_needs_half_of_twenty_points_and_a_rise_only_where_it_is_asked_for() -> None:
    cut = case(120, clipped_ratio=lambda t: 0.2 if t > 60 else 0.02)
    plain, risen = (outcome(cut, rules.truncation(cut, r), 1.0) for r in (0.0, 0.1))
    assert plain.stop == 71, "the median of 20 is above .15 once more than half of them are"
    assert risen.stop == 71
    assert plain.safe is not None
    assert plain.safe <= 60
    always = case(120, clipped_ratio=lambda t: 0.2)
    assert outcome(always, rules.truncation(always), 1.0).stop == 20
    assert outcome(always, rules.truncation(always, 0.1), 1.0).stop is None


def test_evaluation_with_patience_stops_after_so_many_that_are_no_better_and_keeps_the_best() -> (
    None
):
    scores = {20: 0.4, 40: 0.6, 60: 0.5, 80: 0.6, 100: 0.55, 120: 0.9}
    run = case(120, scores, accuracy_reward=falls)
    found = outcome(run, rules.evaluated(run, 20, 3), 1.0)
    assert (found.stop, found.safe) == (100, 40)
    assert scoring.regret(run, found).signals == pytest.approx(0.9 - 0.6)


def test_a_run_that_evaluation_never_stops_keeps_its_best_checkpoint() -> None:
    run = case(120, {20: 0.4, 40: 0.6, 60: 0.5, 80: 0.5, 120: 0.3}, accuracy_reward=falls)
    found = outcome(run, rules.evaluated(run, 40, 3), 1.0)
    assert (found.stop, found.safe) == (None, 40)
    assert scoring.regret(run, found).signals == 0


def test_suspicion_and_truncation_is_cusp_where_nothing_is_cut() -> None:
    run = make("drop_strong_450", 11).case()
    cusp = scoring.cusp(run)
    with_rule = outcome(run, rules.suspicion_and_truncation(run), 1.0)
    assert (with_rule.stop, with_rule.safe) == (cusp.stop, cusp.safe)


def test_patience_counts_points_since_the_mean_of_the_rewards_was_best() -> None:
    run = case(300, format_reward=lambda t: min(t, 100) / 100, completion_length=lambda t: 100.0)
    found = outcome(run, online(Patience)(run), 100)
    assert found.stop is not None
    assert 200 < found.stop < 260


@pytest.mark.parametrize("method", [Focus, PeltRerun])
def test_change_point_methods_date_a_fall_and_leave_a_rise_alone(method: type) -> None:
    rng = np.random.default_rng(0)
    wobble = 0.02 * rng.standard_normal(401)

    def run(sign: int) -> Case:
        return case(
            400,
            format_reward=lambda t: 0.6 + sign * 0.25 * (t > 200) + float(wobble[t]),
            completion_length=lambda t: 100 + t % 3,
        )

    fall, rise = run(-1), run(1)
    stop = outcome(fall, online(method)(fall), 200)
    assert stop.stop is not None
    assert 200 < stop.stop < 240
    assert stop.step == pytest.approx(200, abs=5)
    assert outcome(rise, online(method)(rise), 200).stop is None


def test_records_are_the_heights_of_the_evidence_so_that_one_run_serves_every_threshold() -> None:
    said = [(0.0, 0), (2.0, 1), (1.0, 0), (3.0, 2), (3.0, 3)]
    assert heights(said) == ((1, 2.0, 1), (3, 3.0, 2))


def test_the_calibrated_threshold_stops_at_most_one_null_in_a_hundred() -> None:
    courses = [Course(((0, float(i), 0),), 0.0, 1) for i in range(1, 201)]
    level = calibrated(courses)
    assert sum(course.top >= level for course in courses) == 2


def test_noise_is_free_of_a_trend_and_a_change_for_the_better_is_no_evidence() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 1)) + 5 * np.arange(400)[:, None]
    assert noise(x)[0] == pytest.approx(1, rel=0.15)
    down = np.concatenate([np.ones(50), np.zeros(50)])[:, None]
    assert bad(down, 0, 50, 100, 7) == pytest.approx((25, 7 + 49))
    assert bad(-down, 0, 50, 100, 0)[0] == 0


def test_every_method_has_a_name_and_a_setting_that_no_other_has() -> None:
    names = [(b.name, b.default_words) for b in (*BASELINES, *ALL)]
    assert len(set(names)) == len(names)


def test_a_method_that_is_not_installed_is_left_out_and_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.detector.baselines.workers.interpreter", lambda name: None)
    installed.cache_clear()
    there, missing = available()
    installed.cache_clear()
    assert there == []
    assert "rldoctor is left out: it is not installed (make bench-detectors-env)" in missing
