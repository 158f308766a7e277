"""The demo's summary: each ending has its own sentences, and none contradicts another."""

import io
from typing import Any

import pytest
from rich.console import Console

from cusp.cli.demo.summary import print_summary, summary

Json = dict[str, Any]
FOUND = {"step": 52, "low": 41, "high": 60, "safe_step": 40, "seen_at_step": 70}
WORSE = {
    "state": "worse",
    "step": 84,
    "measured_step": 87,
    "scored": [{"step": 60, "mean": 0.62, "problems": 64}],
    "comparisons": [
        {"step": 20, "difference": -0.1, "low": -0.2, "high": 0.0, "problems": 64},
        {"step": 60, "difference": -0.21, "low": -0.33, "high": -0.09, "problems": 64},
    ],
    "completions": 256,
    "seconds": 1.5,
}


def run(status: str, state: str | None, kept: int | None) -> Json:
    return {
        "name": "seed-0",
        "status": status,
        "phase": "past",
        "words": "By step 200 no transition is seen.",
        "max_steps": 200,
        "step": 87 if status == "stopped" else 200,
        "transition": {**FOUND, "state": state} if state else None,
        "checkpoints": {"pre-transition": {"step": kept}} if kept is not None else {},
        "saved_fraction": 0.565 if status == "stopped" else None,
        "elapsed_s": 40.0,
        "spent_usd": None,
    }


def said(found: Json, looks: list[Json], error: str | None = None) -> tuple[Json, str]:
    result = summary(found, {"evaluations": [], "comparison": None}, looks)
    result |= {
        "evaluation_error": error,
        "seconds": {"total": 50.0},
        "url": "http://monitor/runs/1",
    }
    text = io.StringIO()
    print_summary(Console(file=text, width=200), result)
    return result, text.getvalue()


def test_a_stop_by_the_signals() -> None:
    result, text = said(run("stopped", "confirmed", 40), [])
    assert result["transition"]["confirmed_by"] == "signals"
    assert "Transition at step 52 (likely 41-60), seen at step 70." in text
    assert "Stopped at step 87 of 200 steps" in text
    assert "Kept: the checkpoint of step 40." in text


def test_a_stop_by_held_out_scores_is_no_run_without_a_transition() -> None:
    result, text = said(run("stopped", "provisional", 60), [WORSE])
    assert result["transition"]["confirmed_by"] == "held-out scores"
    assert "No format phase transition" not in text
    assert (
        "Transition suspected at step 52 (likely 41-60), and borne out by held-out scores." in text
    )
    assert (
        "Verification at step 87, 64 held-out problems: -0.21 [-0.33, -0.09] against step 60: worse."
        in text
    )
    assert "Kept: the checkpoint of step 60." in text


def test_a_stop_that_no_transition_explains_is_said_to_be_one() -> None:
    result, text = said(run("stopped", None, None), [])
    assert result["transition"] is None
    assert "No format phase transition" not in text
    assert "the run was stopped all the same" in text


@pytest.mark.parametrize("state", [None, "provisional", "refuted"])
def test_a_run_that_was_not_stopped(state: str | None) -> None:
    refuted = {**WORSE, "state": "not_worse"}
    result, text = said(run("finished", state, None), [refuted])
    assert result["transition"] is None
    assert "No format phase transition was confirmed. By step 200" in text
    assert "Trained 200 of 200 steps, not stopped." in text
    assert "against step 60: not worse." in text


def test_an_evaluation_that_failed_is_told_beside_what_the_training_gave() -> None:
    result, text = said(run("stopped", "confirmed", 40), [], "the worker was gone")
    assert result["evaluation_error"] == "the worker was gone"
    assert "The evaluation failed: the worker was gone" in text
    assert "Stopped at step 87 of 200 steps" in text
    assert "pass@1" not in text


def test_a_candidate_that_was_scored_no_further_is_shown_with_its_selection_score() -> None:
    def scored(step: int, split: str, pass_at_1: float) -> Json:
        told = {"roles": ["ladder"], "step": step, "split": split, "pass_at_1": pass_at_1}
        return told | {"low": pass_at_1 - 0.1, "high": pass_at_1 + 0.1, "n_problems": 200}

    scores = [scored(20, "selection", 0.6), scored(20, "report", 0.5), scored(40, "selection", 0.2)]
    result = summary(run("finished", None, None), {"evaluations": scores, "comparison": None}, [])
    assert [(one["step"], one["split"], one["pass_at_1"]) for one in result["candidates"]] == [
        (20, "report", 0.5),
        (40, "selection", 0.2),
    ]
