"""Suspect, verify, act on stored scores: the scores decide, are counted once, and are the first ones."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case
from benchmarks.zoo import verified
from cusp.verification.sequential import STAGES
from monitor.policy import verify
from monitor.policy.decide import Saved

STEPS = tuple(range(0, 201, 10))
TURN = 100


def case(*, worse: bool) -> Case:
    """Return a run whose signals turn at step 100; its held-out scores fall there, or do not."""
    rng = np.random.default_rng(5)
    points = []
    for step in range(1, 201):
        up, late = 1 / (1 + math.exp(-(step - 30) / 5)), step > TURN
        fall = min(step - TURN, 40) / 40 if late else 0.0
        noise = rng.normal(0, 0.03, 3)
        points.append(
            (
                step,
                {
                    "format_reward": 0.3 + 0.65 * up - 0.4 * fall + noise[0],
                    "accuracy_reward": 0.2 + 0.5 * up - 0.4 * fall + noise[1],
                    "completion_length": 60 - 20 * up + 25 * fall + 20 * noise[2],
                },
            )
        )
    problems = {
        split: {s: rng.random((n, 2)) < (0.2 if worse and s > TURN else 0.7) for s in STEPS}
        for split, n in (("selection", 200), ("report", 300))
    }
    selection, report = (
        {s: float(bits.mean()) for s, bits in problems[split].items()}
        for split in ("selection", "report")
    )
    return Case(
        "made", points, completions=48, completion_limit=64, problems=problems, selection=selection,
        report=report,
    )  # fmt: skip


def test_scores_that_fell_stop_the_run_and_the_best_scored_checkpoint_is_kept() -> None:
    run = case(worse=True)
    found = verified.replayed(run)
    assert found.by == "held-out scores"
    assert found.looks[-1].state == "worse"
    assert found.outcome.stop is not None
    assert TURN < found.outcome.stop <= TURN + 60
    assert found.kept is not None
    assert found.kept <= TURN
    assert verified.regret(run, found) < 0.1
    assert "stopped at" in verified.line(run, found)


def test_scores_that_did_not_fall_hold_back_the_signals() -> None:
    run = case(worse=False)
    found, alone = verified.replayed(run), scoring.cusp(run)
    assert alone.stop is not None
    assert {look.state for look in found.looks} <= {"not_worse", "undecided"}
    assert found.by != "held-out scores"
    assert found.outcome.stop is None or found.outcome.stop > alone.stop + 20


def test_a_look_uses_the_first_problems_and_counts_each_completion_once() -> None:
    scores = {10: [1.0] * 200, 20: [1.0] * 200, 50: [0.0] * 200}
    candidates = (Saved("a", 10, "", ""), Saved("b", 20, "", ""))
    look = verify.Look(1, 48, 25.0, candidates, STAGES, 0.01, 1_000, "")
    first = verified.tested(look, 50, scores, {}, samples=1)
    assert (first.state, first.measured) == ("worse", 50)
    assert first.completions == 3 * STAGES[0]
    assert {len(one) for one in first.known.values()} == {STAGES[0]}
    again = verified.tested(look, 50, scores, first.known, samples=2)
    assert again.completions == 2 * STAGES[0]


def test_a_run_without_scores_by_problem_has_them_drawn_the_same_every_time() -> None:
    run = Case("drawn", [(1, {})], selection={0: 0.25, 10: 1.0}, report={0: 0.2, 10: 1.0})
    first = verified.score_of(run, 1)
    assert first == verified.score_of(run, 1)
    assert len(first[0]) == verified.DRAWN[0]
    assert np.mean(first[0]) == pytest.approx(0.25, abs=0.1)
    assert set(first[10]) == {1.0}
    assert set(verified.score_of(run, 2)[0]) <= {0.0, 0.5, 1.0}


def test_the_table_counts_who_stopped_what() -> None:
    run = dataclasses.replace(case(worse=True), kind="lost")
    found = verified.replayed(run)
    cells = verified.table([("Cusp", [found])], [run]).splitlines()[-1].split("|")
    assert [cell.strip() for cell in cells[1:5]] == ["Cusp", "1/1 (100%)", "1/1 (100%)", "0/0 (0%)"]
    assert cells[-2].strip() == str(found.completions)
