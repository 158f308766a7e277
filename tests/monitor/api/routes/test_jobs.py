"""Evaluations as jobs: claimed once, fenced, resumable, and what follows from them."""

from typing import Any

from fastapi.testclient import TestClient

from monitor.background.expiry import expire_overdue
from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, status, transition

Json = dict[str, Any]


def claim(api: TestClient, worker: str = "w1") -> Json | None:
    answer = api.post("/api/v1/jobs/claim", json={"worker": worker, "kinds": ["evaluate"]})
    assert answer.status_code in (200, 204), answer.text
    return dict(answer.json()) if answer.status_code == 200 else None


def scored(step: int, checkpoint_id: str | None, value: float, split: str = "report") -> Json:
    return {
        "checkpoint_id": checkpoint_id,
        "roles": ["last"],
        "step": step,
        "task": "tiny-arithmetic",
        "split": split,
        "samples_per_problem": 1,
        "pass_at_1": value,
        "low": max(0, value - 0.1),
        "high": min(1, value + 0.1),
        "n_problems": 2,
        "n_samples": 2,
        "errors": 1,
        "mean_tokens": 12.5,
        "truncated_share": 0.0,
        "rows": [["p1", 0, 1, 12, "stop", 7], ["p2", 0, None, 13, "length", 8]],
    }


def ended(api: TestClient) -> Trainer:
    trainer = Trainer(api)
    trainer.send(*[point(s) for s in range(1, 31)], *[checkpoint(s) for s in (10, 20, 30)])
    trainer.send(status("finished"))
    return trainer


def finish(api: TestClient, job: Json, *, best: int, reason: str) -> None:
    comparison = {
        "task": "t",
        "split": "report",
        "reference": {"role": "last", "step": 30},
        "best": {"roles": ["ladder"], "step": best},
        "reason": reason,
        "rows": [],
    }
    body = {"token": job["token"], "state": "done", "result": {"comparison": comparison}}
    assert api.post(f"/api/v1/jobs/{job['id']}/finish", json=body).status_code == 200


def test_the_end_of_a_run_queues_one_evaluation_of_fixed_candidates(api: TestClient) -> None:
    trainer = ended(api)
    job = claim(api)
    assert job is not None
    assert job["run_id"] == trainer.run_id
    steps = [candidate["step"] for candidate in job["payload"]["candidates"]]
    assert steps == [0, 10, 20, 30]
    assert job["payload"]["candidates"][0]["checkpoint_id"] is None
    assert job["payload"]["reference_step"] == 30
    assert job["payload"]["screen"] is True
    assert claim(api) is None


def test_checkpoints_named_by_a_person_are_all_scored_on_both_sets(api: TestClient) -> None:
    trainer = ended(api)
    first = claim(api)
    assert first is not None
    named = [one["checkpoint_id"] for one in first["payload"]["candidates"][1:3]]
    asked = api.post(f"/api/v1/runs/{trainer.run_id}/evaluate", json={"checkpoints": named})
    assert asked.status_code == 202
    second = claim(api)
    assert second is not None
    assert second["payload"]["screen"] is False


def test_a_stopped_run_is_compared_with_its_pre_transition_checkpoint(api: TestClient) -> None:
    trainer = Trainer(api)
    transition(trainer)
    trainer.send(status("stopped"))
    job = claim(api)
    assert job is not None
    kept = trainer.get()["checkpoints"]["pre-transition"]["step"]
    assert job["payload"]["reference_step"] == kept
    roles = {c["step"]: c["roles"] for c in job["payload"]["candidates"]}
    assert "pre-transition" in roles[kept]
    assert {"base", "last", "before", "after"} <= {role for each in roles.values() for role in each}


def test_a_result_is_stored_once_and_moves_best(api: TestClient) -> None:
    trainer = ended(api)
    job = claim(api)
    assert job is not None
    best = job["payload"]["candidates"][2]
    body = {"token": job["token"], "evaluation": scored(20, best["checkpoint_id"], 0.75)}
    path = f"/api/v1/jobs/{job['id']}"
    twice = {**body["evaluation"], "rows": [["p1", 0, 1, 12, "stop", 7]] * 2}
    refused = api.post(f"{path}/evaluations", json={**body, "evaluation": twice})
    assert (refused.status_code, "sample 0 of problem 'p1'" in refused.text) == (422, True)
    assert api.post(f"{path}/evaluations", json=body).json() == {"stored": True}
    assert api.post(f"{path}/evaluations", json=body).json() == {"stored": False}
    comparison = {
        "task": "t",
        "split": "report",
        "reference": {"role": "last", "step": 30},
        "best": {"roles": ["ladder"], "step": 20},
        "reason": "best of all",
        "rows": [],
    }
    finish = {"token": job["token"], "state": "done", "result": {"comparison": comparison}}
    assert api.post(f"{path}/finish", json=finish).status_code == 200
    found = trainer.get("/evaluations")
    assert [e["pass_at_1"] for e in found["evaluations"]] == [0.75]
    assert found["comparison"]["reason"] == "best of all"
    run = trainer.get()
    assert run["checkpoints"]["best"]["step"] == 20
    assert (run["score"]["alias"], run["score"]["pass_at_1"]) == ("best", 0.75)


def test_a_worker_paused_past_its_lease_cannot_write(api: TestClient, clock: Clock) -> None:
    ended(api)
    first = claim(api, "slow")
    assert first is not None
    clock.now += 61
    second = claim(api, "fast")
    assert second is not None
    assert (second["id"], second["token"]) == (first["id"], first["token"] + 1)
    path = f"/api/v1/jobs/{first['id']}"
    late = {"token": first["token"], "state": "done"}
    assert api.post(f"{path}/finish", json=late).status_code == 409
    assert api.post(f"{path}/heartbeat", json={"token": first["token"]}).status_code == 409
    evaluation = {"token": first["token"], "evaluation": scored(0, None, 0.5)}
    assert api.post(f"{path}/evaluations", json=evaluation).status_code == 409
    assert api.post(f"{path}/heartbeat", json={"token": second["token"]}).status_code == 200


def test_a_job_that_loses_three_workers_is_given_up_with_a_reason(
    api: TestClient, clock: Clock
) -> None:
    trainer = ended(api)
    for _ in range(3):
        assert claim(api) is not None
        clock.now += 61
    assert claim(api) is None
    expire_overdue(api.app.state.service.database, clock())  # type: ignore[attr-defined]
    (job,) = api.get("/api/v1/jobs", params={"run_id": trainer.run_id}).json()["jobs"]
    assert job["state"] == "failed"
    assert "lost 3 times" in job["error"]


def test_a_foreign_checkpoint_is_refused(api: TestClient) -> None:
    ended(api)
    other = ended(api)
    job = claim(api)
    assert job is not None
    foreign = other.get("/checkpoints")["checkpoints"][0]["id"]
    body = {"token": job["token"], "evaluation": scored(10, foreign, 0.5)}
    answer = api.post(f"/api/v1/jobs/{job['id']}/evaluations", json=body)
    assert answer.status_code == 409


def test_a_person_can_ask_for_an_evaluation_of_named_checkpoints(api: TestClient) -> None:
    trainer = ended(api)
    assert claim(api) is not None
    chosen = trainer.get("/checkpoints")["checkpoints"][1]
    path = f"/api/v1/runs/{trainer.run_id}/evaluate"
    assert api.post(path, json={"checkpoints": [chosen["id"]]}).status_code == 202
    job = claim(api)
    assert job is not None
    assert [c["step"] for c in job["payload"]["candidates"]] == [0, 20, 30]
    assert job["payload"]["reference_step"] == 30


def test_named_checkpoints_are_compared_with_the_reference_of_the_run(api: TestClient) -> None:
    trainer = Trainer(api)
    transition(trainer)
    trainer.send(status("stopped"))
    assert claim(api) is not None
    kept = trainer.get()["checkpoints"]["pre-transition"]["step"]
    last = trainer.get("/checkpoints")["checkpoints"][-1]
    assert last["step"] > kept
    path = f"/api/v1/runs/{trainer.run_id}/evaluate"
    assert api.post(path, json={"checkpoints": [last["id"]]}).status_code == 202
    job = claim(api)
    assert job is not None
    assert [c["step"] for c in job["payload"]["candidates"]] == [0, kept, last["step"]]
    assert job["payload"]["reference_step"] == kept


def test_a_comparison_of_named_checkpoints_neither_moves_best_nor_hides_the_full_one(
    api: TestClient,
) -> None:
    trainer = ended(api)
    full = claim(api)
    assert full is not None
    named = [trainer.get("/checkpoints")["checkpoints"][0]["id"]]
    path = f"/api/v1/runs/{trainer.run_id}/evaluate"
    assert api.post(path, json={"checkpoints": named}).status_code == 202
    second = claim(api)
    assert second is not None
    finish(api, second, best=10, reason="of those named")
    found = trainer.get("/evaluations")["comparison"]
    assert (found["named"], found["best"], found["reason"]) == (True, None, "of those named")
    assert "best" not in trainer.get()["checkpoints"]
    finish(api, full, best=20, reason="of all")
    found = trainer.get("/evaluations")["comparison"]
    assert (found["named"], found["best"]["step"], found["reason"]) == (False, 20, "of all")
    assert trainer.get()["checkpoints"]["best"]["step"] == 20
    assert api.post(path, json={"checkpoints": named}).status_code == 202
    third = claim(api)
    assert third is not None
    finish(api, third, best=10, reason="of those named")
    assert trainer.get("/evaluations")["comparison"]["reason"] == "of all"
    assert trainer.get()["checkpoints"]["best"]["step"] == 20


def test_a_worker_gets_jobs_of_the_runs_whose_folders_it_has_only(
    api: TestClient, clock: Clock
) -> None:
    one, other = ended(api), ended(api)
    waiting = api.get("/api/v1/jobs", params={"waiting": True}).json()["jobs"]
    assert [job["run_id"] for job in waiting] == [one.run_id, other.run_id]
    asked = {"worker": "w", "kinds": ["evaluate"], "runs": [other.run_id]}
    got = api.post("/api/v1/jobs/claim", json=asked)
    assert got.json()["run_id"] == other.run_id
    assert api.post("/api/v1/jobs/claim", json=asked).status_code == 204
    assert api.post("/api/v1/jobs/claim", json={**asked, "runs": []}).status_code == 204
    clock.now += 61
    waiting = api.get("/api/v1/jobs", params={"waiting": True}).json()["jobs"]
    assert [job["run_id"] for job in waiting] == [one.run_id, other.run_id], "its lease ran out"


def test_a_job_that_waits_is_cancelled_and_one_at_work_when_its_worker_says_so(
    api: TestClient, clock: Clock
) -> None:
    trainer = ended(api)
    waiting = api.get("/api/v1/jobs").json()["jobs"][0]
    answer = api.post(f"/api/v1/jobs/{waiting['id']}/cancel").json()
    assert (answer["state"], answer["error"]) == ("failed", "cancelled by person")
    assert answer["cancelled_by"] == "person"
    assert claim(api) is None
    assert api.post(f"/api/v1/jobs/{waiting['id']}/cancel").status_code == 409
    api.post(f"/api/v1/runs/{trainer.run_id}/evaluate").raise_for_status()
    job = claim(api)
    assert job is not None
    own = f"/api/v1/jobs/{job['id']}"
    scores = {"token": job["token"], "evaluation": scored(0, None, 0.5)}
    api.post(f"{own}/evaluations", json=scores).raise_for_status()
    beat = api.post(f"{own}/heartbeat", json={"token": job["token"]}).json()
    assert beat == {"lease_s": 60.0, "cancelled_by": None}
    asked = api.post(f"{own}/cancel").json()
    assert (asked["state"], asked["cancelled_by"]) == ("leased", "person")
    assert api.post(f"{own}/cancel").json()["state"] == "leased", "a repeat changes nothing"
    assert api.post(f"{own}/heartbeat", json={"token": job["token"]}).json() == {
        "lease_s": 60.0,
        "cancelled_by": "person",
    }
    end = {"token": job["token"], "state": "failed", "error": "cancelled by person"}
    api.post(f"{own}/finish", json=end).raise_for_status()
    stored = api.get(f"/api/v1/runs/{trainer.run_id}/evaluations").json()["evaluations"]
    assert [one["step"] for one in stored] == [0], "what it brought stays"
    audit = api.get(f"/api/v1/runs/{trainer.run_id}/audit").json()["audit"]
    assert [one["action"] for one in audit].count("cancel") == 2
    assert api.post("/api/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/cancel").status_code == 404


def test_a_cancelled_job_whose_worker_is_lost_is_given_to_nobody(
    api: TestClient, clock: Clock
) -> None:
    ended(api)
    job = claim(api)
    assert job is not None
    api.post(f"/api/v1/jobs/{job['id']}/cancel").raise_for_status()
    clock.now += 61
    assert claim(api, "w2") is None
    expire_overdue(api.app.state.service.database, clock())  # type: ignore[attr-defined]
    found = api.get("/api/v1/jobs").json()["jobs"][0]
    assert found["state"] == "failed"
    assert found["error"].startswith("cancelled by person; its worker was lost")


def test_the_last_lines_of_each_worker_are_kept_once(api: TestClient, clock: Clock) -> None:
    ended(api)
    first = claim(api)
    assert first is not None
    own = f"/api/v1/jobs/{first['id']}"
    assert api.get(f"{own}/log").json()["parts"] == []
    for total, lines in ((1, ["one"]), (1, ["one"]), (201, ["two", "", "ü\t"])):
        body = {"token": first["token"], "log": {"total": total, "lines": lines}}
        api.post(f"{own}/heartbeat", json=body).raise_for_status()
    clock.now += 61
    second = claim(api, "w2")
    assert second is not None
    log = {"total": 1, "lines": ["again"]}
    late = api.post(f"{own}/heartbeat", json={"token": first["token"], "log": log})
    assert late.status_code == 409
    end = {"token": second["token"], "state": "failed", "error": "e", "log": log}
    api.post(f"{own}/finish", json=end).raise_for_status()
    parts = api.get(f"{own}/log").json()["parts"]
    assert [(one["worker"], one["total"], one["lines"]) for one in parts] == [
        ("w1", 201, ["two", "", "ü\t"]),
        ("w2", 1, ["again"]),
    ]
    long = {"token": second["token"], "log": {"total": 1, "lines": ["x" * 501]}}
    assert api.post(f"{own}/heartbeat", json=long).status_code == 422


def test_a_cancelled_verification_leaves_the_decision_to_the_signals(api: TestClient) -> None:
    trainer = Trainer(api, metadata={"evaluable": True})
    trainer.send(*[point(s) for s in range(1, 31)], *[checkpoint(s) for s in (10, 20, 30)])
    asked = api.post(f"/api/v1/runs/{trainer.run_id}/verifications")
    asked.raise_for_status()
    job = api.get("/api/v1/jobs").json()["jobs"][0]
    assert job["kind"] == "verify"
    api.post(f"/api/v1/jobs/{job['id']}/cancel").raise_for_status()
    (look,) = api.get(f"/api/v1/runs/{trainer.run_id}/verifications").json()["verifications"]
    assert (look["state"], look["state_reason"]) == ("failed", "cancelled by person")
