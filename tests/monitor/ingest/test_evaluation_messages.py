"""Scores in a batch: taken once, and set aside with the reason where they cannot be."""

from typing import Any

from fastapi.testclient import TestClient

from cusp.ids import new_id
from tests.messages import Json, Trainer, checkpoint, point, status


def message(step: int, *scores: float | None, **more: Any) -> Json:
    rows = [{"problem_id": f"p{place}", "score": score} for place, score in enumerate(scores)]
    head = {"kind": "evaluation", "evaluation_id": new_id(), "task": "t", "step": step}
    return {**head, "rows": rows, **more}


def test_scores_of_a_step_get_the_checkpoint_that_is_registered_later(api: TestClient) -> None:
    trainer = Trainer(api)
    one = message(10, 1, 0, None)
    trainer.send(point(9), one, point(10))
    (found,) = trainer.get("/evaluations")["evaluations"]
    assert (found["checkpoint_id"], found["n_problems"] >= 2) == (None, True)
    registered = checkpoint(10)
    trainer.send(registered, one)
    (found,) = trainer.get("/evaluations")["evaluations"]
    assert found["checkpoint_id"] == registered["checkpoint_id"]


def test_scores_that_cannot_be_taken_are_set_aside_and_the_batch_is_stored(api: TestClient) -> None:
    trainer = Trainer(api)
    known = message(10, 1, 0)
    uneven = message(10, 1, 0)
    uneven["rows"].append({"problem_id": "p0", "sample": 1, "score": 1})
    reply = trainer.send(
        known,
        {**message(20, 1), "evaluation_id": known["evaluation_id"]},
        uneven,
        message(10),
        message(10, 2),
        point(11),
    )
    assert {one["kind"]: one["count"] for one in reply["refused"]}["evaluation"] == 3
    assert trainer.series("reward") == ([11], [11.0])
    (found,) = trainer.get("/evaluations")["evaluations"]
    assert (found["step"], found["pass_at_1"]) == (10, 0.5)
    assert trainer.get()["quarantined"] == 4


def test_scores_after_a_resume_wait_for_the_checkpoint_of_their_own_attempt(
    api: TestClient,
) -> None:
    first = Trainer(api)
    early, left = checkpoint(5), checkpoint(20)
    first.send(*[point(n) for n in range(21)], early, left)
    second = Trainer(api, first.run_id)
    second.send(*[point(n) for n in range(6, 21)], message(5, 1, 0), message(20, 1, 0))
    found = [one["checkpoint_id"] for one in second.get("/evaluations")["evaluations"]]
    assert found == [early["checkpoint_id"], None]
    own = checkpoint(20)
    second.send(own)
    found = [one["checkpoint_id"] for one in second.get("/evaluations")["evaluations"]]
    assert found == [early["checkpoint_id"], own["checkpoint_id"]]


def test_a_deleted_run_takes_scores_with_the_rest_of_a_batch(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), status("finished"))
    assert api.delete(f"/api/v1/runs/{trainer.run_id}").status_code in (200, 202, 204)
    reply = trainer.send(point(2), message(2, 1, 0))
    assert (reply["next_seq"], reply.get("refused", [])) == (4, [])


def test_what_is_beside_a_score_costs_only_itself_and_a_lost_score_the_message(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    good, bad = message(10, 1, 0), message(20, 1, 2)
    good["rows"][0] |= {"seed": 2**60, "tokens": -1, "finish_reason": "é"}
    reply = trainer.send(good, bad)
    (found,) = trainer.get("/evaluations")["evaluations"]
    assert (found["step"], found["n_samples"], found["pass_at_1"]) == (10, 2, 0.5)
    words = " ".join(one["reason"] for one in reply["refused"])
    assert "rows.0." in words
    aside = api.get(f"/api/v1/runs/{trainer.run_id}/quarantine").text
    assert "so all rows of this message were left out" in aside
