"""Scores of a training as messages: what is odd in them costs that part, never the training."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy
import pytest

import cusp
from cusp.protocol.scored import Posted
from cusp.transport.score_messages import UnusableScores, posts

ROWS: list[dict[str, Any]] = [{"problem_id": "p", "score": 1.0}]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cusp.Run:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")
    return cusp.init("p", "n")


def sent(run: cusp.Run) -> list[dict[str, Any]]:
    files = sorted((run.home / "attempts" / run.attempt_id).glob("spool-*"))
    told = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [one for one in told if one["kind"] == "evaluation"]


def test_a_step_of_any_number_type_is_taken_and_another_is_a_warning(
    run: cusp.Run, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for step in (numpy.int64(5), numpy.float32(6), float("nan"), -1, "x"):
            run.evaluation("t", ROWS, step=step)  # type: ignore[arg-type]
        run.evaluation("t", ROWS, step=7, preset=Path("mine"))  # type: ignore[arg-type]
    assert [(one["step"], one.get("preset")) for one in sent(run)] == [
        (5, None),
        (6, None),
        (7, "mine"),
    ]
    assert caplog.text.count("must be a number from 0") == 3
    assert run.finish()


def test_a_sample_that_is_there_twice_is_refused_before_it_is_merged() -> None:
    twice = [{"problem_id": "p", "score": score, "sample": 0} for score in (1, 0)]
    with pytest.raises(UnusableScores, match="row 1 is sample 0 of problem 'p' once more"):
        posts("t", twice)
    unnumbered = [{"problem_id": "p", "score": score} for score in (1, 0)]
    (body,) = posts("t", unnumbered)
    assert [row["sample"] for row in body["rows"]] == [0, 1]


def test_what_does_not_fit_beside_a_score_or_in_a_problem_costs_only_itself() -> None:
    odd: list[dict[str, Any]] = [
        {"seed": 2**60, "tokens": -1, "finish_reason": "é"},
        {"seed": "x", "tokens": 7},
        {"seed": 0},
    ]
    rows = [{"problem_id": name, "score": 1, **one} for name, one in zip("abc", odd, strict=True)]
    problems: list[Any] = [
        {"problem_id": "a", "question": None, "gold": 0},
        {"problem_id": "b", "question": "1+1", "gold": None},
        {"question": "of none"},
        None,
    ]
    (body,) = posts("t", rows, problems, preset="x" * 300)
    read = Posted.model_validate({**body, "step": 1})
    assert [(row.seed, row.tokens, row.finish_reason) for row in read.rows] == [
        (None, None, None),
        (None, 7, None),
        (0, None, None),
    ]
    assert [(one.question, one.gold) for one in read.problems] == [("", "0"), ("1+1", "")]
