"""Stopping: a command that walks forward until the trainer has done it."""

from fastapi.testclient import TestClient

from cusp.ids import new_id
from tests.messages import Trainer, point, status


def stop(
    api: TestClient, trainer: Trainer, key: str | None = None, **body: str
) -> dict[str, object]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/stop", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_stop_is_delivered_again_until_acknowledged(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1))
    command = stop(api, trainer, reason="enough")
    assert command["state"] == "open"
    first, second = trainer.send()["commands"], trainer.send()["commands"]
    assert first == second
    assert first[0]["command_id"] == command["id"]
    for state in ("delivered", "agreed", "done"):
        trainer.ack(first[0], state, step=7)
        path = f"/commands/{command['id']}"
        assert trainer.get(path)["state"] == state
    assert trainer.send()["commands"] == []
    assert trainer.get(path)["step"] == 7


def test_a_command_never_walks_back(api: TestClient) -> None:
    trainer = Trainer(api)
    command = stop(api, trainer)
    (sent,) = trainer.send()["commands"]
    trainer.ack(sent, "done")
    trainer.ack(sent, "delivered")
    assert trainer.get(f"/commands/{command['id']}")["state"] == "done"


def test_a_second_stop_is_the_first_one(api: TestClient) -> None:
    trainer = Trainer(api)
    assert stop(api, trainer)["id"] == stop(api, trainer)["id"]
    assert trainer.get()["status"] == "stopping"


def test_a_repeated_request_gets_the_same_answer_and_another_request_a_conflict(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    assert stop(api, trainer, key="k1") == stop(api, trainer, key="k1")
    answer = api.post(
        f"/api/v1/runs/{trainer.run_id}/stop",
        json={"reason": "other"},
        headers={"Idempotency-Key": "k1"},
    )
    assert answer.status_code == 409
    assert "'k1'" in answer.json()["detail"]


def test_a_run_that_has_ended_cannot_be_stopped(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), status("finished"))
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/stop", json={})
    assert answer.status_code == 409
    assert "finished already" in answer.json()["detail"]


def test_commands_left_open_expire_with_the_training_and_with_a_new_attempt(
    api: TestClient,
) -> None:
    ended = Trainer(api)
    command = stop(api, ended)
    ended.send(status("failed"))
    assert ended.get(f"/commands/{command['id']}")["state"] == "expired"
    crashed = Trainer(api)
    command = stop(api, crashed)
    resumed = Trainer(api, crashed.run_id)
    assert resumed.send()["commands"] == []
    assert resumed.get(f"/commands/{command['id']}")["state_reason"].startswith("a new attempt")


def test_a_stop_outlives_an_older_attempt_that_is_announced_late(api: TestClient) -> None:
    late = new_id()
    current = Trainer(api, after=late)
    stop(api, current)
    old = {"run_id": current.run_id, "attempt_id": late, "name": "n"}
    assert api.post("/api/v1/runs", json=old).status_code == 200
    assert len(current.send()["commands"]) == 1


def test_only_the_latest_attempt_is_told_of_more_than_a_stop(api: TestClient) -> None:
    old = Trainer(api)
    new = Trainer(api, old.run_id)
    stop(api, new)
    assert [command["kind"] for command in old.send()["commands"]] == ["stop"]
    assert len(new.send()["commands"]) == 1


def test_what_is_not_there_is_named(api: TestClient) -> None:
    missing = new_id()
    for method, path in (
        ("get", f"/runs/{missing}"),
        ("post", f"/runs/{missing}/stop"),
        ("post", f"/checkpoints/{missing}/promote"),
    ):
        answer = api.request(method, f"/api/v1{path}")
        assert answer.status_code == 404
        assert missing in answer.json()["detail"]
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_graceful_stop_does_not_wait_behind_one_that_waits_for_a_save(api: TestClient) -> None:
    trainer = Trainer(api)
    patient = stop(api, trainer, mode="after_save")
    assert stop(api, trainer, mode="after_save")["id"] == patient["id"]
    hurried = stop(api, trainer)
    assert hurried["id"] != patient["id"]
    assert stop(api, trainer)["id"] == hurried["id"]
    assert stop(api, trainer, mode="after_save")["id"] == patient["id"], "it has been asked already"
    assert [c["mode"] for c in trainer.send()["commands"]] == ["after_save", "graceful"]
