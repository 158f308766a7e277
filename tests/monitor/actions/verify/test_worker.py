"""A worker verifies what a training cannot: its job, its scores, and what the monitor makes of them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitor.background.expiry import expire_overdue
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint
from tests.monitor.actions.verify.test_verification import (
    RIGHT,
    WRONG,
    messages_at,
    train,
    verifications,
)


def waiting(api: TestClient, trainer: Trainer) -> Json:
    """Train until the monitor queues a verification, and claim it as a worker."""
    for step in range(1, 121):
        trainer.send(*messages_at(step))
        body = {"worker": "w1", "kinds": ["verify"]}
        answer = api.post("/api/v1/jobs/claim", json=body)
        if answer.status_code == 200:
            return {**answer.json(), "asked_at": step}
    raise AssertionError("no verification was queued")


def evaluable(api: TestClient) -> Trainer:
    return Trainer(api, metadata={"evaluable": True, "recipe": True, "max_steps": 400})


def finish(api: TestClient, job: Json, now: list[float], earlier: list[float]) -> Json:
    payload = job["payload"]
    scores = {str(one["step"]): earlier for one in payload["candidates"]}
    scores[str(payload["step"])] = now
    result: dict[str, Any] = {"scores": scores, "completions": 256, "seconds": 3.0}
    body = {"token": job["token"], "state": "done", "result": result}
    answer = api.post(f"/api/v1/jobs/{job['id']}/finish", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_job_names_the_newest_checkpoint_among_the_candidates(api: TestClient) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    payload = job["payload"]
    steps = [one["step"] for one in payload["candidates"]]
    assert payload["step"] == max(steps) == job["asked_at"] // 10 * 10
    assert payload["stages"] == [32, 64, 128]
    assert payload["verification_id"] == verifications(trainer)[0]["id"]
    keep = next(one for one in trainer.send()["commands"] if one["kind"] == "keep")
    assert keep["steps"] == sorted(steps), "rotation would delete the weights of now"
    assert trainer.get()["decisions"] == []


def test_worse_stops_the_run_at_once_when_the_signals_have_confirmed(api: TestClient) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    train(trainer, job["asked_at"] + 1, 100)
    assert trainer.get()["phase"] == "past"
    assert finish(api, job, WRONG, RIGHT) == {"state": "done"}
    assert {one["kind"] for one in trainer.send()["commands"]} == {"keep", "stop"}
    assert verifications(trainer)[0]["by"] == "worker"


def test_not_worse_judges_the_steps_since_anew(api: TestClient) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    train(trainer, job["asked_at"] + 1, 110)
    assert trainer.get()["phase"] == "past"
    finish(api, job, RIGHT, WRONG)
    run = trainer.get()
    assert run["transition"]["low"] >= job["payload"]["step"], "only a later change counts"
    assert "release" in {one["kind"] for one in trainer.send()["commands"]}
    trainer.send(*messages_at(111))
    assert trainer.get("/verdicts")["steps"] == list(range(1, 112))
    again = verifications(trainer)
    assert [one["state"] for one in again] == ["queued", "not_worse"]
    assert trainer.get()["decisions"] == []


def test_a_job_that_nobody_claims_holds_a_transition_up_for_two_minutes(
    api: TestClient, clock: Clock
) -> None:
    trainer = evaluable(api)
    train(trainer, 1, 110)
    assert trainer.get()["phase"] == "past"
    assert trainer.get()["decisions"] == []
    clock.now += 121
    told = train(trainer, 111, 112)
    assert "stop" in {one["kind"] for one in told}
    found = verifications(trainer)[0]
    assert (found["state"], found["state_reason"]) == (
        "failed",
        "no worker with a free device took it",
    )
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    claim = api.post("/api/v1/jobs/claim", json={"worker": "late", "kinds": ["verify"]})
    assert claim.status_code == 204, "nobody scores what is decided"
    assert verifications(trainer)[0]["state"] == "failed"


def test_a_job_whose_worker_was_lost_holds_a_transition_up_until_another_could_have_taken_it(
    api: TestClient, clock: Clock
) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    train(trainer, job["asked_at"] + 1, 100)
    assert trainer.get()["phase"] == "past"
    clock.now += 60 + 119
    assert [one["kind"] for one in train(trainer, 101, 102)] == ["keep"], "of the candidates"
    assert verifications(trainer)[0]["state"] == "leased"
    clock.now += 2
    assert "stop" in {one["kind"] for one in train(trainer, 103, 104)}
    failed = ("failed", "its worker was lost, and no other one took it")
    found = verifications(trainer)[0]
    assert (found["state"], found["state_reason"]) == failed
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    claim = api.post("/api/v1/jobs/claim", json={"worker": "late", "kinds": ["verify"]})
    assert claim.status_code == 204, "nobody scores what is decided"
    found = verifications(trainer)[0]
    assert (found["state"], found["state_reason"]) == failed
    late = api.post(f"/api/v1/jobs/{job['id']}/heartbeat", json={"token": job["token"]})
    assert late.status_code == 409


def test_the_sweep_leaves_a_lost_job_to_another_worker_for_two_minutes(
    api: TestClient, clock: Clock
) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    clock.now += 60 + 119
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    claim = api.post("/api/v1/jobs/claim", json={"worker": "w2", "kinds": ["verify"]})
    assert claim.json()["id"] == job["id"]
    clock.now += 59
    expire_overdue(api.app.state.service.database, clock.now)  # type: ignore[attr-defined]
    assert finish(api, claim.json(), RIGHT, WRONG) == {"state": "done"}
    assert verifications(trainer)[0]["state"] == "not_worse"


def test_the_weights_of_now_are_let_go_with_the_candidates(api: TestClient) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    steps = sorted(one["step"] for one in job["payload"]["candidates"])
    rows = {row["step"]: row for row in trainer.get("/checkpoints")["checkpoints"]}
    for step in steps:
        there = {**checkpoint(step, rows[step]["id"]), "sha256": rows[step]["sha256"]}
        trainer.send({**there, "state": "pinned", "path": f"pinned/checkpoint-{step}"})
    assert trainer.get()["kept"] is None, "held is not kept"
    finish(api, job, RIGHT, WRONG)
    told = [one for one in trainer.send()["commands"] if one["kind"] == "release"]
    assert [one["steps"] for one in told] == [steps]


@pytest.mark.parametrize("result", [{}, {"scores": {"1": [1.0]}}])
def test_scores_that_answer_nothing_fail_the_job_with_the_reason(
    api: TestClient, result: Json
) -> None:
    trainer = evaluable(api)
    job = waiting(api, trainer)
    body = {"token": job["token"], "state": "done", "result": result}
    answer = api.post(f"/api/v1/jobs/{job['id']}/finish", json=body)
    assert answer.json() == {"state": "failed"}
    assert "lack those of step" in verifications(trainer)[0]["state_reason"]
