"""Scores that anyone posts for a registered checkpoint: stored, summarised, compared, promoted like a worker's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from cusp.statistics import pass_at_1
from tests.messages import Json, Trainer, checkpoint, point, status
from tests.statements import statements_of


def trained(api: TestClient) -> Trainer:
    """A run without a recipe, with checkpoints of three steps."""
    trainer = Trainer(api, policy={"evaluate": "none"})
    trainer.send(*[point(s) for s in range(1, 31)], *[checkpoint(s) for s in (10, 20, 30)])
    trainer.send(status("finished"))
    return trainer


def rows(right: int, of: int = 40, samples: int = 2) -> list[Json]:
    """Rows of which the first `right` problems are right."""
    return [
        {"problem_id": f"p{number:02}", "sample": sample, "score": float(number < right)}
        for number in range(of)
        for sample in range(samples)
    ]


def post(api: TestClient, trainer: Trainer, status: int = 200, **scores: Any) -> Json:
    body = {"evaluation_id": new_id(), "task": "aime24", **scores}
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/evaluations", json=body)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def compare(api: TestClient, trainer: Trainer, status: int = 200, **asked: Any) -> Json:
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/comparisons", json=asked)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def test_rows_of_a_checkpoint_are_summarised_and_shown(api: TestClient) -> None:
    trainer = trained(api)
    one = rows(30)
    one[0] |= {"text": "so \\boxed{4}", "answer": "4", "tokens": 7, "finish_reason": "stop"}
    taken = post(api, trainer, step=20, source="import:lm_eval", preset="strict", rows=one)
    assert (taken["stored"], taken["left_out"]) == (80, 0)
    (found,) = trainer.get("/evaluations")["evaluations"]
    assert found == taken["evaluation"]
    registered = {row["step"]: row["id"] for row in trainer.get("/checkpoints")["checkpoints"]}
    assert found["checkpoint_id"] == registered[20]
    assert (found["pass_at_1"], found["n_problems"], found["samples_per_problem"]) == (0.75, 40, 2)
    assert found["low"] < 0.75 < found["high"]
    assert (found["source"], found["author"]) == ("import:lm_eval", "person")
    assert (found["preset"], found["mean_tokens"], found["truncated_share"]) == ("strict", 7, 0)
    first = trainer.get(f"/evaluations/{found['id']}/rows", limit=1)["rows"][0]
    assert (first["text"], first["answer"]) == ("so \\boxed{4}", "4")
    acts = [one["action"] for one in trainer.get("/audit")["audit"]]
    assert acts[0] == "score"
    page = api.get(f"/runs/{trainer.run_id}").text
    assert "aime24" in page


def test_answers_that_are_told_are_counted(api: TestClient) -> None:
    trainer, every = trained(api), rows(12, samples=3)
    untold = post(api, trainer, step=10, rows=every)["evaluation"]
    assert untold["maj_at_k"] is None
    for row in every:
        right = row["score"] and row["sample"] < 2
        row |= {"score": float(right), "answer": "4" if right else f"{row['sample']}"}
    every[-1]["answer"] = None  # none was found
    found = post(api, trainer, step=20, rows=every)["evaluation"]
    assert found["pass_at_1"] == pytest.approx(0.2)
    assert found["maj_at_k"] == pytest.approx(0.3)
    assert found["maj_low"] < 0.3 < found["maj_high"]


def test_an_aggregate_has_the_interval_of_its_number_of_problems(api: TestClient) -> None:
    trainer = trained(api)
    found = post(api, trainer, step=0, pass_at_1=0.5, n_problems=30)["evaluation"]
    assert (found["checkpoint_id"], found["roles"], found["pass_at_1"]) == (None, ["base"], 0.5)
    assert found["low"] == pytest.approx(0.33, abs=0.01)
    assert found["mean_tokens"] is None
    assert api.get(f"/runs/{trainer.run_id}").status_code == 200
    assert "two checkpoints" in compare(api, trainer, 409)["detail"]


def test_rows_come_in_portions_and_a_repeat_changes_nothing(api: TestClient) -> None:
    trainer = trained(api)
    name, every = new_id(), rows(20)
    for part in (every[:40], every[40:], every[:40]):
        taken = post(api, trainer, evaluation_id=name, step=10, rows=part)
    assert taken["stored"] == 0
    (found,) = trainer.get("/evaluations")["evaluations"]
    assert (found["pass_at_1"], found["n_samples"]) == (0.5, 80)
    refused = post(api, trainer, 409, evaluation_id=name, step=20, rows=every)
    assert "another evaluation" in refused["detail"]
    other = trained(api)
    post(api, other, 409, evaluation_id=name, step=10, rows=every)


def test_the_numbers_of_portions_are_those_of_all_rows(api: TestClient) -> None:
    trainer = trained(api)
    scores = np.random.default_rng(0).random((30, 4)).round(2)
    scores[3, 1] = np.nan
    every: list[Json] = [
        {
            "problem_id": f"p{place // 4}",
            "sample": place % 4,
            "score": None if np.isnan(score) else float(score),
            "tokens": place if place % 2 else None,
            "finish_reason": "length" if place % 3 == 0 else "stop",
        }
        for place, score in enumerate(scores.ravel())
    ]
    name = new_id()
    for start in range(0, 120, 8):
        told = post(api, trainer, evaluation_id=name, step=10, rows=every[start : start + 8])
    found, wanted = told["evaluation"], pass_at_1(scores)
    for field in ("low", "high", "fixed_low", "fixed_high"):
        assert found[field] == pytest.approx(getattr(wanted, field)), field
    assert found["pass_at_1"] == pytest.approx(wanted.value)
    assert (found["n_problems"], found["n_samples"], found["errors"]) == (30, 120, 1)
    assert (found["mean_tokens"], found["truncated_share"]) == (60, pytest.approx(1 / 3))


@pytest.mark.parametrize("samples", [1, 2])
def test_one_sample_a_problem_gives_a_bound_for_this_fixed_set(
    api: TestClient, samples: int
) -> None:
    trainer = trained(api)
    for step, right in ((10, 20), (20, 30)):
        told = post(api, trainer, step=step, rows=rows(right, samples=samples))["evaluation"]
        assert told["fixed_bound"] is (samples == 1)
    (row,) = compare(api, trainer, steps=[10, 20], reference_step=10)["comparison"]["rows"]
    assert row["fixed_bound"] is (samples == 1)
    assert (
        post(api, trainer, step=30, pass_at_1=0.5, n_problems=40)["evaluation"]["fixed_bound"]
        is None
    )


def answered(of: int, *, seed: int) -> list[Json]:
    """Rows of three samples a problem, whose answers are 4, which is right, or one of three others, or none."""
    drawn = np.random.default_rng(seed).choice(["4", "4", "5", "6", "7", ""], (of, 3))
    return [
        {"problem_id": f"p{number:02}", "sample": sample, "score": float(answer == "4")}
        | ({"answer": answer} if answer else {})
        for number, answers in enumerate(drawn.tolist())
        for sample, answer in enumerate(answers)
    ]


def majority(posted: Json) -> list[float | None]:
    return [posted["evaluation"][name] for name in ("maj_at_k", "maj_low", "maj_high")]


def test_answers_are_counted_in_portions_as_in_one_and_are_read_again_for_none(
    api: TestClient,
) -> None:
    trainer, every, name = trained(api), answered(40, seed=1), new_id()
    for row in every[:12]:
        row["score"] = 0.0  # all wrong and none told: the first portions cannot vote
        row.pop("answer", None)
    whole = majority(post(api, trainer, step=20, rows=every))
    assert None not in whole
    told: Json = {}
    for start in range(0, 120, 6):
        part = every[start : start + 6]

        def send(part: list[Json] = part) -> None:
            told.update(post(api, trainer, evaluation_id=name, step=10, rows=part))

        reads = [one for one in statements_of(api, send) if "GROUP BY" in one and "answer" in one]
        assert len(reads) == (start in (0, 12)), "the first portion, and the first with an answer"
        assert (majority(told)[0] is None) == (start < 12)
    assert majority(told) == pytest.approx(whole)
    untold = {"problem_id": "later", "sample": 0, "score": 1.0}
    more = [{**untold, "sample": sample} for sample in range(3)]
    assert majority(post(api, trainer, evaluation_id=name, step=10, rows=more)) == [None] * 3
    again = [{**row, "problem_id": f"q{row['problem_id']}"} for row in every]
    assert majority(post(api, trainer, evaluation_id=name, step=10, rows=again)) == [None] * 3


def test_answers_of_further_samples_of_known_problems_are_counted_with_the_former(
    api: TestClient,
) -> None:
    trainer, every, name = trained(api), answered(30, seed=2), new_id()
    whole = majority(post(api, trainer, step=20, rows=every))
    for sample in range(3):
        part = [row for row in every if row["sample"] == sample]
        told = majority(post(api, trainer, evaluation_id=name, step=10, rows=part))
        assert (told[0] is None) == (sample == 0)
    assert told == pytest.approx(whole)


@pytest.mark.parametrize(
    ("scores", "status", "word"),
    [
        ({"step": 25, "rows": rows(1)}, 409, "steps 10, 20, 30"),
        ({"checkpoint_id": new_id(), "rows": rows(1)}, 409, "has no checkpoint"),
        ({"rows": rows(1)}, 409, "checkpoint_id or its step"),
        ({"step": 10}, 409, "send rows, or pass_at_1"),
        ({"step": 10, "rows": rows(1), "pass_at_1": 0.1}, 409, "not both"),
        ({"step": 10, "rows": rows(1)[:-1]}, 409, "as many samples"),
        ({"step": 10, "rows": [{"problem_id": "p", "score": 1.5}]}, 422, "score"),
        ({"step": 10, "rows": [*rows(1), *rows(0)[-1:]]}, 409, "sample 1 of problem 'p39' is"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_reason(
    api: TestClient, scores: Json, status: int, word: str
) -> None:
    trainer = trained(api)
    assert word in post(api, trainer, status, **scores)["detail"]
    assert trainer.get("/evaluations")["evaluations"] == []


def scored(
    api: TestClient, trainer: Trainer, by_step: dict[int, int], splits: Sequence[str]
) -> None:
    for step, right in by_step.items():
        for split in splits:
            post(api, trainer, step=step, split=split, rows=rows(right))


def test_checkpoints_with_rows_are_compared_and_none_is_chosen_without_a_selection_set(
    api: TestClient,
) -> None:
    trainer = trained(api)
    scored(api, trainer, {0: 10, 10: 38, 20: 38}, ["report"])
    told = compare(api, trainer)
    comparison = told["comparison"]
    assert comparison["reference"]["step"] == 20
    by_step = {row["step"]: row for row in comparison["rows"]}
    assert by_step[0]["verdict"] == "worse"
    assert by_step[0]["difference"] == pytest.approx(-0.7)
    assert (by_step[10]["difference"], by_step[10]["verdict"]) == (0, "not distinguishable")
    assert (comparison["best"], comparison["named"]) == (None, True)
    assert "selection set" in comparison["reason"]
    assert trainer.get("/evaluations")["comparison"] == comparison
    assert trainer.get()["checkpoints"] == {}
    jobs = api.get("/api/v1/jobs", params={"run_id": trainer.run_id}).json()["jobs"]
    assert [(job["id"], job["state"], job["worker"]) for job in jobs] == [
        (told["job_id"], "done", "monitor")
    ]
    page = api.get(f"/runs/{trainer.run_id}").text
    assert "not distinguishable" in page


def test_best_moves_to_what_is_better_where_a_selection_set_was_scored_too(api: TestClient) -> None:
    trainer = trained(api)
    scored(api, trainer, {10: 38, 30: 20}, ["selection", "report"])
    comparison = compare(api, trainer)["comparison"]
    assert (comparison["reference"]["step"], comparison["best"]["step"]) == (30, 10)
    assert trainer.get()["checkpoints"]["best"]["step"] == 10
    named = compare(api, trainer, steps=[10, 30], reference_step=10)["comparison"]
    assert (named["best"], named["named"]) == (None, True)
    assert trainer.get("/evaluations")["comparison"]["best"]["step"] == 10


def test_no_checkpoint_is_chosen_on_selection_sets_of_two_judges(api: TestClient) -> None:
    trainer = trained(api)
    scored(api, trainer, {10: 38, 30: 20}, ["report"])
    post(api, trainer, step=10, split="selection", preset="lenient", rows=rows(38))
    post(api, trainer, step=30, split="selection", preset="strict", rows=rows(20))
    comparison = compare(api, trainer)["comparison"]
    assert (comparison["best"], len(comparison["rows"])) == (None, 1)
    assert "best" not in trainer.get()["checkpoints"]


def test_roles_are_those_that_checkpoints_have_now_not_when_scores_came(api: TestClient) -> None:
    trainer = trained(api)
    place = "/api/v1/checkpoints/{}/promote"
    registered = {row["step"]: row["id"] for row in trainer.get("/checkpoints")["checkpoints"]}
    assert api.post(place.format(registered[10]), json={"alias": "mine"}).status_code == 200
    scored(api, trainer, {10: 38, 20: 20}, ["report"])
    assert api.post(place.format(registered[20]), json={"alias": "mine"}).status_code == 200
    roles = [one["roles"] for one in trainer.get("/evaluations")["evaluations"]]
    assert roles == [[], ["mine"]]
    sides = trainer.get("/evaluations/differences", first=10, second=20)
    assert (sides["first"]["roles"], sides["second"]["roles"]) == ([], ["mine"])
    (row,) = compare(api, trainer, reference_step=20)["comparison"]["rows"]
    assert (row["step"], row["roles"]) == (10, [])


def test_what_was_judged_otherwise_or_on_other_problems_is_not_compared(api: TestClient) -> None:
    trainer = trained(api)
    post(api, trainer, step=10, preset="lighteval", rows=rows(20))
    post(api, trainer, step=30, preset="reward", rows=rows(20))
    assert "judged otherwise" in compare(api, trainer, 409)["detail"]
    elsewhere = [{**row, "problem_id": "x" + row["problem_id"]} for row in rows(20)]
    post(api, trainer, step=20, preset="reward", rows=elsewhere)
    assert "different problems" in compare(api, trainer, 409)["detail"]
    assert "steps 10, 20, 30 have" in compare(api, trainer, 409, reference_step=5)["detail"]


def test_a_token_that_only_sends_may_not_post_scores(api: TestClient) -> None:
    trainer = trained(api)
    made = api.post("/api/v1/tokens", json={"name": "t", "scopes": ["ingest"]}).json()
    answer = api.post(
        f"/api/v1/runs/{trainer.run_id}/evaluations",
        json={"evaluation_id": new_id(), "task": "t", "step": 10, "rows": rows(1)},
        headers={"Authorization": f"Bearer {made['token']}"},
    )
    assert answer.status_code == 403
