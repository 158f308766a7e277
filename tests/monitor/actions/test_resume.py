"""Resuming as a job: when it can be asked for, what the worker is told, what the points look like."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Clock
from tests.messages import Trainer, checkpoint, point, status

Json = dict[str, Any]


def resume(api: TestClient, trainer: Trainer, **body: int) -> Json:
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/resume", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def refused(api: TestClient, trainer: Trainer, **body: int) -> str:
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/resume", json=body)
    assert answer.status_code == 409, answer.text
    return str(answer.json()["detail"])


def claim(api: TestClient, kind: str = "train") -> Json | None:
    answer = api.post("/api/v1/jobs/claim", json={"worker": "w", "kinds": [kind]})
    return dict(answer.json()) if answer.status_code == 200 else None


def crashed(api: TestClient, clock: Clock) -> Trainer:
    """Steps 0 to 15 with a checkpoint every 5, then silence."""
    trainer = Trainer(api)
    for step in range(16):
        more = [checkpoint(step)] if step and step % 5 == 0 else []
        trainer.send(point(step, reward=float(step)), *more)
    clock.now += 61
    return trainer


def test_a_crash_at_15_and_a_resume_at_10_show_21_points_and_both_attempts(
    api: TestClient, clock: Clock
) -> None:
    first = crashed(api, clock)
    job = resume(api, first, step=10)
    assert (job["kind"], job["state"]) == ("train", "queued")
    claimed = claim(api)
    assert claimed is not None
    saved = {c["step"]: c for c in first.get("/checkpoints")["checkpoints"]}
    assert claimed["payload"] == {
        "step": 10,
        "path": "checkpoint-10",
        "sha256": saved[10]["sha256"],
        "processes": 1,
    }
    second = Trainer(api, first.run_id)
    for step in range(10, 21):
        second.send(point(step, reward=100.0 + step))
    (found,) = first.get("/series", names="reward")["series"]
    assert found["steps"] == list(range(21))
    assert found["values"] == [*map(float, range(10)), *(100.0 + s for s in range(10, 21))]
    assert found["attempts"] == [1] * 10 + [2] * 11
    assert found["superseded"]["steps"] == list(range(10, 16))
    assert found["superseded"]["attempts"] == [1] * 6
    attempts = [(a["status"], a["first_step"], a["last_step"]) for a in first.get()["attempts"]]
    assert attempts == [("lost", 0, 15), ("running", 10, 20)]


def test_a_second_request_is_the_first_ones_job_and_another_step_a_conflict(
    api: TestClient, clock: Clock
) -> None:
    trainer = crashed(api, clock)
    job = resume(api, trainer)
    assert resume(api, trainer)["id"] == job["id"]
    assert job["id"] in refused(api, trainer, step=5)
    claimed = claim(api)
    assert claimed is not None
    assert claimed["payload"]["step"] is None
    assert resume(api, trainer)["id"] == job["id"], "at work already"
    assert claim(api) is None


def test_a_run_that_is_being_trained_is_not_resumed(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api)
    assert "stop it first" in refused(api, trainer)
    trainer.send(status("stopped"))
    assert resume(api, trainer)["state"] == "queued"


def test_a_finished_run_is_resumed_only_from_an_earlier_step(api: TestClient, clock: Clock) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), checkpoint(1), point(2), status("finished"))
    assert "finished at step 2" in refused(api, trainer)
    assert "no whole checkpoint of step 2; there are 1" in refused(api, trainer, step=2)
    assert resume(api, trainer, step=1)["state"] == "queued"


@pytest.mark.parametrize("state", ["missing", "corrupt"])
def test_a_broken_checkpoint_is_not_resumed_from(api: TestClient, clock: Clock, state: str) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), checkpoint(1, state=state), status("stopped"))
    assert "there are none" in refused(api, trainer, step=1)


def test_a_run_without_a_recipe_is_neither_resumed_nor_evaluated_and_says_why(
    api: TestClient,
) -> None:
    trainer = Trainer(api, metadata={"recipe": False, "evaluable": False})
    trainer.send(point(1), checkpoint(1), status("stopped"))
    assert claim(api, "evaluate") is None, "a job that can only fail is not queued"
    assert f"CUSP_RUN_ID={trainer.run_id}" in refused(api, trainer)
    words = trainer.get()["evaluation_blocked"]
    assert f"cusp evaluate {trainer.run_id} --recipe FILE" in words
    path = f"/api/v1/runs/{trainer.run_id}/evaluate"
    assert api.post(path, json={}).json()["detail"] == words
    assert api.post(path, json={"base": "Qwen/Qwen3-0.6B"}).status_code == 409  # on which problems?
    for wrong in ({"base": "../models"}, {"suite": "a b"}, {"engine": "openai"}, {"suite": "/x"}):
        assert api.post(path, json={"suite": "smoke", **wrong}).status_code == 422
    asked = {"suite": "champ,reasoning_gym:chain_sum", "base": "Qwen/Qwen3-0.6B", "engine": "hf"}
    assert api.post(path, json={**asked, "samples_per_problem": 4}).status_code == 202
    job = claim(api, "evaluate")
    assert job is not None
    payload = job["payload"]
    assert (payload["asked"], payload["samples_per_problem"]) == (asked, 4)
    assert trainer.get()["evaluation_blocked"] == words  # still nothing is evaluated by itself
    assert api.post(path, json={"given_here": "../evaluation"}).status_code == 422
    assert api.post(path, json={"given_here": "0a1b2c3d4e5f"}).status_code == 202
    given = claim(api, "evaluate")
    assert given is not None
    assert given["payload"]["asked"] == {"given_here": "0a1b2c3d4e5f"}
    assert trainer.get()["evaluation_blocked"] == words
    assert api.post(path, json={"recipe_given": True}).status_code == 202
    assert trainer.get()["evaluation_blocked"] is None
    assert claim(api, "evaluate") is not None


def test_a_recipe_without_problems_to_score_on_is_said(api: TestClient) -> None:
    trainer = Trainer(api, metadata={"recipe": True, "evaluable": False})
    assert "no evaluation section" in trainer.get()["evaluation_blocked"]
