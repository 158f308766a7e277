"""What the fold promises: causal, deterministic, bounded, indifferent to what must not matter."""

import math
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from monitor.detector import PRESETS, Detector, RewardRange, RunShape, Sample
from tests.monitor.detector.runs import (
    SHAPE,
    fold,
    healthy,
    learning,
    noisy_share,
    samples,
    stop_of,
    with_transition,
)


def test_verdicts_of_a_prefix_do_not_depend_on_what_comes_later() -> None:
    run = samples(**with_transition(at=200))
    whole = fold(run)
    for cut in (30, 150, 220, 260):
        other = [replace(s, metrics={"format_reward": 0.0}) for s in run[cut:]]
        assert fold(run[:cut] + other)[:cut] == whole[:cut]


def test_the_same_samples_give_the_same_verdicts() -> None:
    run = samples(**with_transition())
    assert fold(run) == fold(run)


def test_the_fold_may_be_split_anywhere() -> None:
    run = samples(**with_transition())
    whole, detector = fold(run), Detector(SHAPE)
    pieces = [run[:7], run[7:123], run[123:124], run[124:]]
    assert [detector.update(s) for piece in pieces for s in piece] == whole


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_transition_is_confirmed_where_its_evidence_first_reaches_the_level_told(
    seed: int,
) -> None:
    """`confirm` alone is crossed earlier, without effect: too few points have followed by then."""
    verdicts = fold(samples(**with_transition(seed=seed)))
    reached = [v.step for v in verdicts if v.level is not None and v.score >= v.level]
    confirmed = [v.step for v in verdicts if v.transition and v.transition.state == "confirmed"]
    assert reached[0] == confirmed[0]


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_the_scale_of_length_does_not_matter(factor: float) -> None:
    run = with_transition()
    scaled = {**run, "completion_length": run["completion_length"] * factor}
    shape = replace(SHAPE, completion_limit_tokens=None)
    for a, b in zip(fold(samples(**run), shape), fold(samples(**scaled), shape), strict=True):
        assert a.transition == b.transition
        assert a.phase == b.phase
        assert a.score == pytest.approx(b.score, abs=1e-6)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_scale_of_a_reward_does_not_matter_once_its_range_is_told(factor: float) -> None:
    run = with_transition()
    scaled = {**run, "format_reward": run["format_reward"] * factor}
    told = replace(SHAPE, rewards={"format_reward": RewardRange(0.0, factor)})
    plain, other = fold(samples(**run)), fold(samples(**scaled), told)
    assert [(v.phase, v.transition) for v in plain] == [(v.phase, v.transition) for v in other]
    assert [v.score for v in plain] == pytest.approx([v.score for v in other], abs=1e-6)


def test_metrics_it_does_not_know_do_not_matter() -> None:
    run = with_transition()
    noise = np.random.default_rng(0).normal(0, 100, 400)
    assert fold(samples(**run, kl=noise, step_time_s=noise)) == fold(samples(**run))


def test_the_numbers_of_the_steps_do_not_matter_while_a_point_is_a_few_steps() -> None:
    run = samples(**with_transition())
    spread = [replace(s, step=3 * s.step) for s in run]
    dense, sparse = stop_of(fold(run)), stop_of(fold(spread))
    assert dense
    assert sparse
    assert dense.transition
    assert sparse.transition
    assert sparse.step == 3 * dense.step
    assert sparse.transition.step == 3 * dense.transition.step


def test_missing_and_non_finite_values_are_the_same_and_do_no_harm() -> None:
    run = samples(**with_transition(at=200))
    rng = np.random.default_rng(1)
    missing, odd = [], []
    for sample in run:
        gone = {name for name in sample.metrics if rng.random() < 0.2}
        kept = {k: v for k, v in sample.metrics.items() if k not in gone}
        missing.append(Sample(sample.step, kept))
        odd.append(Sample(sample.step, {**kept, **dict.fromkeys(gone, math.nan)}))
    verdicts = fold(missing)
    assert fold(odd) == verdicts
    stop = stop_of(verdicts)
    assert stop is not None
    assert 200 < stop.step < 270


def test_a_metric_logged_every_fifth_step_still_bears_witness() -> None:
    run = with_transition(steps=800, at=400)
    sparse = np.where(np.arange(800) % 5 == 0, run["accuracy_reward"], np.nan)
    verdicts = fold(samples(accuracy_reward=sparse, format_reward=run["format_reward"]))
    assert max(e.z for v in verdicts for e in v.evidence if e.metric == "accuracy_reward") > 4


def test_an_empty_sample_is_taken() -> None:
    verdict = Detector(RunShape()).update(Sample(1, {}))
    assert verdict.phase == "warming_up"
    assert verdict.score == 0


def test_memory_is_bounded_and_the_cost_of_a_step_flat() -> None:
    run = samples(**healthy(6000))
    detector, costs = Detector(SHAPE), []
    for part in (run[1000:2000], run[5000:6000]):
        for sample in run[detector_size(detector) : part[0].step - 1]:
            detector.update(sample)
        begin = time.process_time()
        for sample in part:
            detector.update(sample)
        costs.append(time.process_time() - begin)
    assert costs[1] < 2 * costs[0]
    assert detector._scan.history.values.shape[1] == 2048
    assert sys.getsizeof(detector._scan.history._steps) < 100_000


def detector_size(detector: Detector) -> int:
    return detector._scan.size


def test_verdicts_do_not_change_when_the_memory_is_compacted() -> None:
    run = with_transition(steps=2400, at=2150)
    stop = stop_of(fold(samples(**run)))
    assert stop is not None
    assert 2150 < stop.step < 2230
    assert stop.transition is not None
    assert abs(stop.transition.step - 2150) < 30


def test_a_deeper_fall_is_never_confirmed_later() -> None:
    stops = []
    for depth in (0.1, 0.2, 0.4, 0.8):
        level = learning(400) * np.where(np.arange(400) < 200, 1.0, 1 - depth)
        stop = stop_of(fold(samples(format_reward=noisy_share(level, 1))))
        assert stop is not None
        stops.append(stop.step)
    assert stops == sorted(stops, reverse=True)


def test_presets_name_their_false_alarm_rate_and_study() -> None:
    for preset in PRESETS.values():
        assert preset.watch < preset.confirm
        assert 0 < preset.false_alarms_per_1000_steps < 1
        assert preset.provenance
