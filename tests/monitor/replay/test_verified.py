"""A replay with held-out scores suspects, verifies and acts as the monitor does."""

import json
from dataclasses import replace

import pytest

from cusp.verification.sequential import STAGES
from monitor.detector import Detector, RunShape, Sample
from monitor.replay.readers.checkpoint_scores import CheckpointScores
from monitor.replay.replay import Replay, as_json, replay
from tests.monitor.replay.held_out import SAVED, falling, scores
from tests.monitor.replay.logs import TRANSITION, healthy_run, turning_run

HALF = range(5, 101, 5)  # checkpoints that lack every other problem
HARMLESS = scores({step: 0.4 if step < TRANSITION else 0.9 for step in SAVED})


@pytest.fixture(scope="module")
def signals() -> Replay:
    return replay(turning_run(), checkpoints=SAVED)


def test_a_verification_would_be_asked_for_at_the_first_suspicion(signals: Replay) -> None:
    first = next(v.step for v in signals.verdicts if v.phase in ("turning", "past"))
    assert signals.verify_step == first
    assert signals.stop_step is not None
    assert TRANSITION < first <= signals.stop_step
    assert replay(turning_run()).verify_step == first  # checkpoints are unknown
    assert replay(turning_run(), RunShape(save_steps=20)).verify_step == first
    assert signals.looks == ()


def test_none_is_asked_for_without_suspicion_or_checkpoint(signals: Replay) -> None:
    assert replay(healthy_run(), RunShape(save_steps=20)).verify_step is None
    assert replay(turning_run(), checkpoints=[]).verify_step is None
    late = replay(turning_run(), checkpoints=[200]).verify_step
    assert late is None  # the signals stop the run before there is a checkpoint
    assert signals.verify_step is not None


def test_worse_scores_stop_the_run_and_the_best_earlier_checkpoint_is_kept() -> None:
    told = scores({step: 0.4 + step / 400 if step < TRANSITION - 10 else 0.2 for step in SAVED})
    found = replay(turning_run(), held_out=told)
    look = found.looks[-1]
    assert look.outcome == "worse"
    assert look.measured == max(step for step in SAVED if step <= look.step)
    assert all(compared.step < look.measured for compared in look.compared)
    assert found.stop_step is not None
    assert look.step <= found.stop_step <= TRANSITION + 20
    means = {one.step: sum(told.scores[one.step]) for one in look.compared}  # type: ignore[arg-type]
    assert found.keep_step == max(means, key=lambda step: means[step])
    assert found.transition is not None
    assert found.transition.state == "confirmed"
    assert found.verdict.phase == "past"
    assert "Held-out scores" in found.verdict.words


def test_worse_once_is_not_enough_while_the_signals_have_not_confirmed() -> None:
    dip = {step: 0.2 if 148 <= step <= 155 else 0.7 for step in SAVED}
    found = replay(turning_run()[:164], held_out=scores(dip))
    assert found.looks[0].outcome == "worse"
    confirmed = next((v.step for v in found.verdicts if v.phase == "past"), None)
    assert found.stop_step in (confirmed, None)


def test_a_run_is_looked_at_on_schedule_where_its_length_is_known() -> None:
    sinking = scores({step: 0.8 if step <= 120 else 0.2 for step in SAVED})
    assert replay(healthy_run(), held_out=sinking).looks == ()
    found = replay(healthy_run(), RunShape(max_steps=260), held_out=sinking)
    assert found.looks[0].step == 130  # half of it
    assert found.verify_step is None  # there was no suspicion
    assert found.stop_step is not None
    assert (found.transition, found.keep_step is not None) == (None, True)
    assert "Held-out scores" in found.verdict.words


def test_scores_that_are_not_worse_refute_and_the_run_goes_on(signals: Replay) -> None:
    found = replay(turning_run(), held_out=HARMLESS)
    assert found.looks[0].outcome == "not_worse"
    assert found.looks[0].step == signals.verify_step
    assert found.looks[0].refutes
    assert found.stop_step is None
    assert found.keep_step is None


def test_an_acceptance_comes_after_the_values_of_the_step_that_was_measured() -> None:
    run = turning_run()
    found = replay(run, held_out=HARMLESS)
    accepted = {look.measured for look in found.looks if look.refutes}
    detector = Detector(RunShape())
    for sample, verdict in zip(run, found.verdicts, strict=True):
        assert detector.update(sample) == verdict
        if sample.step in accepted:
            detector.accept()


def test_undecided_scores_are_looked_at_again_and_the_budget_is_kept() -> None:
    few = scores(falling(TRANSITION, 0.6, 0.55), problems=16)
    found = replay(turning_run(), held_out=few)
    assert len(found.looks) > 1
    assert {look.outcome for look in found.looks} == {"undecided"}
    assert sum(look.completions for look in found.looks) <= 1000
    measured = [look.measured for look in found.looks]
    assert measured == sorted(set(measured))  # never the same weights twice in a row


def test_the_signals_decide_once_the_scores_end(signals: Replay) -> None:
    few = scores(falling(TRANSITION, 0.6, 0.55), problems=16)
    first = replay(turning_run(), held_out=few).looks[0]
    assert first.outcome == "undecided"
    ends = {step: row for step, row in few.scores.items() if step <= first.measured}
    found = replay(turning_run(), held_out=CheckpointScores(few.problems, ends))
    assert [look.measured for look in found.looks] == [first.measured]
    assert found.stop_step == signals.stop_step


def test_a_healthy_run_costs_nothing() -> None:
    found = replay(healthy_run(), held_out=HARMLESS)
    assert (found.looks, found.verify_step, found.stop_step) == ((), None, None)


def test_a_collapse_stops_without_a_verification() -> None:
    gone = [
        replace(one, metrics={**one.metrics, "format_reward": 0.0}) if one.step > 200 else one
        for one in healthy_run()
    ]
    early = {step: row for step, row in HARMLESS.scores.items() if step <= 190}
    found = replay(gone, held_out=CheckpointScores(HARMLESS.problems, early))
    assert found.verdict.phase == "collapsed"
    assert found.looks == ()
    assert found.stop_step is not None
    assert 200 < found.stop_step < 220


def test_pairs_are_made_of_the_problems_that_both_have() -> None:
    full = scores(falling(TRANSITION))
    half = {
        step: tuple(None if i % 2 else score for i, score in enumerate(row))
        if step in HALF
        else row
        for step, row in full.scores.items()
    }
    found = replay(turning_run(), held_out=CheckpointScores(full.problems, half))
    for look in found.looks:
        for one in look.compared:  # one that is worse than now has the problems of fewer stages
            assert one.problems * (2 if one.step in HALF else 1) in STAGES
    assert any(one.step in HALF for look in found.looks for one in look.compared)


def test_a_verdict_does_not_depend_on_what_comes_later() -> None:
    run, told = turning_run(), scores(falling(TRANSITION))
    stop = replay(run, held_out=told).stop_step
    assert stop is not None
    seen: list[Sample] = [one for one in run if one.step <= stop]
    known = CheckpointScores(told.problems, {s: row for s, row in told.scores.items() if s <= stop})
    assert replay(seen, held_out=known).stop_step == stop


def test_the_json_tells_the_verifications() -> None:
    found = as_json("run.csv", replay(turning_run(), held_out=scores(falling(TRANSITION))))
    json.dumps(found, allow_nan=False)
    last = found["verifications"][-1]
    assert set(last) == {"step", "measured_step", "outcome", "compared", "completions"}
    assert set(last["compared"][0]) == {"step", "difference", "low", "high", "problems"}
    assert found["verify_step"] == found["verifications"][0]["step"]
    assert as_json("run.csv", replay(healthy_run()))["verifications"] == []
