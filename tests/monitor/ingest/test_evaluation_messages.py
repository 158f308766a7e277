"""Scores in a batch: taken once, and set aside with the reason where they cannot be."""

from typing import Any

from fastapi.testclient import TestClient

from cusp.ids import new_id
from tests.messages import Json, Trainer, checkpoint, point


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
