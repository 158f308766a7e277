"""`accept`: a level that held-out scores found harmless is no evidence, and a worse one later is."""

import numpy as np
import pytest

from monitor.detector import Detector, Verdict
from tests.monitor.detector.runs import (
    SHAPE,
    healthy,
    learning,
    noisy_share,
    ramp,
    samples,
    with_transition,
)


def suspected(run: dict, until: str = "provisional") -> tuple[Detector, int, Verdict]:  # type: ignore[type-arg]
    """Return the detector just after a transition is in that state, the step, and the verdict."""
    detector = Detector(SHAPE)
    for sample in samples(**run):
        verdict = detector.update(sample)
        if verdict.transition and verdict.transition.state == until:
            return detector, sample.step, verdict
    raise AssertionError(f"nothing was {until}")


@pytest.mark.parametrize("state", ["provisional", "confirmed"])
def test_what_was_found_is_recorded_as_refuted_and_the_phase_leaves_it(state: str) -> None:
    run = with_transition(at=200)
    detector, step, found = suspected(run, state)
    assert found.transition is not None
    detector.accept()
    after = detector.update(samples(**run)[step])
    assert after.transition is None
    assert after.phase == "adapted"
    refuted = [p for p in after.change_points if p.state == "refuted"]
    assert {p.kind for p in refuted} == {
        p.kind for p in found.change_points if p.kind in ("length_turn", "destabilisation")
    }
    assert all(f"Held-out scores at step {step} did not show" in p.words for p in refuted)
    assert after.words.startswith(
        f"1 point since the held-out scores of step {step} by step {step + 1}; 16 are needed"
    )


def test_a_level_that_stays_is_no_evidence_again() -> None:
    steps = 600
    run = healthy(steps)
    bad = ramp(steps, 200, 215)
    run["format_reward"] = noisy_share(learning(steps) - 0.25 * bad, 1)
    run["completion_length"] = run["completion_length"] * (1 + 0.4 * bad)
    detector, step, _ = suspected(run, "confirmed")
    for sample in samples(**run)[step:230]:
        detector.update(sample)
    detector.accept()
    later = [detector.update(sample) for sample in samples(**run)[230:]]
    assert all(verdict.transition is None for verdict in later)
    assert later[-1].phase == "adapted"


@pytest.mark.parametrize("seed", range(3))
def test_a_second_fall_right_after_an_acceptance_is_found_soon(seed: int) -> None:
    steps, second = 400, 246
    bad, worse = ramp(steps, 200, 205), ramp(steps, second, second + 1)
    run = {
        "format_reward": noisy_share(learning(steps) - 0.15 * bad - 0.35 * worse, seed),
        "completion_length": healthy(steps)["completion_length"] * (1 + 0.2 * bad + 0.3 * worse),
    }
    detector, step, _ = suspected(run, "confirmed")
    for sample in samples(**run)[step : second - 8]:
        detector.update(sample)
    detector.accept()
    later = [detector.update(sample) for sample in samples(**run)[second - 8 :]]
    found = next(v for v in later if v.transition)
    assert found.step <= second + 18
    assert found.transition is not None
    assert found.transition.low >= second - 8


def test_a_collapse_that_was_refuted_is_over() -> None:
    run = healthy()
    run["format_reward"][200:] = run["accuracy_reward"][200:] = 0.0
    detector = Detector(SHAPE)
    for sample in samples(**run)[:260]:
        verdict = detector.update(sample)
    assert verdict.phase == "collapsed"
    detector.accept()
    after = [detector.update(sample) for sample in samples(**run)[260:]]
    assert {v.phase for v in after} == {"adapted"}
    assert "collapse" in [p.kind for p in after[-1].change_points if p.state == "refuted"]


def test_accepting_is_part_of_the_fold() -> None:
    run = samples(**with_transition(at=200))

    def folded() -> list[Verdict]:
        detector, found = Detector(SHAPE), []
        for sample in run:
            found.append(detector.update(sample))
            if sample.step in (100, 230, 300):
                detector.accept()
        return found

    assert folded() == folded()


def test_a_fall_soon_after_a_boundary_costs_sixteen_points_at_most() -> None:
    for seed in range(3):
        for after in (8, 20, 40):
            fall = 200 + after
            level = learning(300) - 0.3 * (np.arange(300) >= fall)
            run = samples(
                format_reward=noisy_share(level, seed),
                completion_length=healthy(300)["completion_length"]
                * (1 + 0.3 * (np.arange(300) >= fall)),
            )
            detector = Detector(SHAPE)
            for sample in run[:200]:
                detector.update(sample)
            detector.boundary()
            later = [detector.update(sample) for sample in run[200:]]
            found = next(v.step for v in later if v.transition)
            assert found <= max(fall + 10, 200 + 17), (seed, after)
