"""New trainings: submitted to workers that know the recipe, claimed once, linked to their run, cancelled."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import is_id
from monitor.actions.boxes import submit
from monitor.background.expiry import expire_overdue
from tests.conftest import Clock
from tests.messages import Trainer

Json = dict[str, Any]


def present(api: TestClient, name: str, box: str, *recipes: str) -> None:
    body = {"name": name, "box": box, "gpus": 0, "recipes": recipes}
    assert api.post("/api/v1/workers", json=body).json() == {"next_s": 30.0}


def ask(api: TestClient, **body: Any) -> tuple[int, Json]:
    answer = api.post("/api/v1/trainings", json={"recipe": "tiny", **body})
    return answer.status_code, answer.json()


def claim(api: TestClient, *run_ids: str) -> Json:
    asked = {"worker": "w1", "kinds": ["train"], "runs": run_ids}
    answer = api.post("/api/v1/jobs/claim", json=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_workers_are_there_for_two_minutes_after_their_last_word(
    api: TestClient, clock: Clock
) -> None:
    present(api, "b-1", "b", "tiny")
    present(api, "a-1", "a", "tiny", "smol")
    present(api, "b-1", "b", "smol")
    found = api.get("/api/v1/workers").json()["workers"]
    assert [(one["box"], one["recipes"]) for one in found] == [
        ("a", ["tiny", "smol"]),
        ("b", ["smol"]),
    ]
    clock.now += 100
    present(api, "b-1", "b", "smol")
    clock.now += 30
    assert [one["box"] for one in api.get("/api/v1/workers").json()["workers"]] == ["b"]


def test_what_no_worker_can_train_is_refused_with_what_there_is(api: TestClient) -> None:
    status, answer = ask(api)
    assert (status, answer["detail"][:45]) == (409, "no worker has been heard of for 120 s; start ")
    present(api, "a-1", "a", "tiny", "smol")
    present(api, "b-1", "b", "smol")
    status, answer = ask(api, recipe="tina")
    assert status == 409
    assert answer["detail"] == "no worker here has a recipe 'tina'; known are smol, tiny"
    status, answer = ask(api, box="b")
    assert answer["detail"] == "no worker on box b has a recipe 'tiny'; known are smol"
    status, answer = ask(api, box="c")
    assert answer["detail"] == "no worker is on a box 'c'; there are workers on a, b"


@pytest.mark.parametrize("override", ["--resume", "-x=1", "seed", "=3"])
def test_what_is_no_override_is_refused(api: TestClient, override: str) -> None:
    present(api, "a-1", "a", "tiny")
    assert ask(api, overrides=[override])[0] == 422


def test_a_training_from_asking_to_its_run(api: TestClient) -> None:
    present(api, "a-1", "a", "tiny")
    status, asked = ask(api, overrides=["seed=3", "grpo.max_steps=4"], box="a", processes=2)
    assert (status, asked["state"], asked["worker"], asked["run"]) == (202, "queued", None, None)
    assert is_id(asked["run_id"])
    told = {"recipe": "tiny", "overrides": ["seed=3", "grpo.max_steps=4"], "box": "a"}
    assert asked["submitted"] == {**told, "processes": 2, "author": "person"}
    (waiting,) = api.get("/api/v1/jobs?waiting=true").json()["jobs"]
    assert waiting["submitted"]["box"] == "a"

    job = claim(api, asked["run_id"])
    assert job["payload"]["recipe"] == "tiny"
    path, own = f"/api/v1/jobs/{job['id']}", f"/api/v1/trainings/{job['id']}"
    beat = {"token": job["token"], "progress": {"done": 0, "total": 0, "text": "starting tiny"}}
    assert api.post(f"{path}/heartbeat", json=beat).status_code == 200
    found = api.get(own).json()
    assert (found["state"], found["worker"], found["run"]) == ("leased", "w1", None)
    assert found["progress"]["text"] == "starting tiny"

    trainer = Trainer(api, run_id=asked["run_id"])
    assert "stop its run" in api.post(f"{own}/cancel").json()["detail"]
    assert api.get(own).json()["run"] == {"name": trainer.get()["name"], "status": "running"}
    finish = {"token": job["token"], "state": "done", "result": {"step": 4}}
    assert api.post(f"{path}/finish", json=finish).json() == {"state": "done"}
    (listed,) = api.get("/api/v1/trainings").json()["trainings"]
    assert (listed["id"], listed["state"]) == (job["id"], "done")
    assert trainer.get("/audit") is not None


def test_one_that_never_began_ends_without_a_run(api: TestClient, clock: Clock) -> None:
    present(api, "a-1", "a", "tiny")
    _, asked = ask(api)
    job = claim(api, asked["run_id"])
    finish = {"token": job["token"], "state": "failed", "error": "grpo.max_stops is no key"}
    assert api.post(f"/api/v1/jobs/{job['id']}/finish", json=finish).status_code == 200
    found = api.get(f"/api/v1/trainings/{job['id']}").json()
    assert (found["state"], found["error"]) == ("failed", "grpo.max_stops is no key")
    assert api.get(f"/api/v1/runs/{asked['run_id']}").status_code == 404


def test_one_that_waits_or_lost_its_worker_is_cancelled(api: TestClient, clock: Clock) -> None:
    present(api, "a-1", "a", "tiny")
    for lost in (False, True):
        _, asked = ask(api)
        if lost:
            claim(api, asked["run_id"])
            clock.now += 61
        ended = api.post(f"/api/v1/trainings/{asked['id']}/cancel").json()
        assert (ended["state"], ended["error"]) == ("failed", "cancelled by person")
        assert api.post(f"/api/v1/trainings/{asked['id']}/cancel").status_code == 409


def test_one_that_a_worker_has_without_a_run_is_cancelled_and_its_worker_drops_it(
    api: TestClient,
) -> None:
    present(api, "a-1", "a", "tiny")
    _, asked = ask(api)
    job = claim(api, asked["run_id"])
    ended = api.post(f"/api/v1/trainings/{asked['id']}/cancel").json()
    assert (ended["state"], ended["error"]) == ("failed", "cancelled by person")
    beat = api.post(f"/api/v1/jobs/{job['id']}/heartbeat", json={"token": job["token"]})
    assert (beat.status_code, "drop what you have" in beat.text) == (409, True)
    again = api.post(f"/api/v1/trainings/{asked['id']}/cancel").json()
    assert again["detail"] == f"training {asked['id']} is over already: it is failed"


def test_one_whose_worker_is_silent_says_so(api: TestClient, clock: Clock) -> None:
    present(api, "a-1", "a", "tiny")
    _, asked = ask(api)
    claim(api, asked["run_id"])
    own = f"/api/v1/trainings/{asked['id']}"
    assert (asked["lease_lost"], api.get(own).json()["lease_lost"]) == (False, False)
    clock.now += 61
    assert api.get(own).json()["lease_lost"] is True
    assert api.get("/api/v1/trainings").json()["trainings"][0]["lease_lost"] is True
    assert api.post(f"{own}/cancel").json()["lease_lost"] is False


def test_one_that_loses_three_workers_before_its_run_is_announced_is_given_up(
    api: TestClient, clock: Clock
) -> None:
    present(api, "a-1", "a", "tiny")
    _, asked = ask(api)
    for _ in range(3):
        claim(api, asked["run_id"])
        clock.now += 61
    expire_overdue(api.app.state.service.database, clock())  # type: ignore[attr-defined]
    found = api.get(f"/api/v1/trainings/{asked['id']}").json()
    assert (found["state"], found["run"]) == ("failed", None)
    assert "lost 3 times" in found["error"]


def test_a_repeated_request_queues_one(api: TestClient) -> None:
    present(api, "a-1", "a", "tiny")
    header = {"Idempotency-Key": "once"}
    ids = {
        api.post("/api/v1/trainings", json={"recipe": "tiny"}, headers=header).json()["id"]
        for _ in range(2)
    }
    assert len(ids) == len(api.get("/api/v1/trainings").json()["trainings"]) == 1


def test_there_is_a_most_that_may_wait(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "MOST_WAITING", 1)
    present(api, "a-1", "a", "tiny")
    assert ask(api)[0] == 202
    status, answer = ask(api)
    assert status == 409
    assert "cancel some" in answer["detail"]
