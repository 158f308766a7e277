"""Foreign clients: of what they send only the wrong part is left out, named, counted; on both databases."""

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.app import create_app
from monitor.ingest.series_quota import REWARD_ROOM
from monitor.runs import left_out
from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer, checkpoint, point, status


def raw(step: int, metrics: Json, **more: object) -> Json:
    return {"kind": "point", "step": step, "metrics": metrics, **more}


def test_the_good_part_is_stored_and_the_bad_part_told_counted_and_set_aside(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    bad = {"a\tb": 1.0, "": 2.0, "x" * 201: 3.0, "text": "high", "deep": {"a": 1}, "many": [1, 2]}
    for step in range(3):
        reply = trainer.send(raw(step, {"format_reward": 0.5, **bad}, at=-3, skipped=1))
    assert trainer.series("format_reward") == ([0, 1, 2], [0.5] * 3)
    told = {one["kind"]: one["count"] for one in reply["refused"]}
    assert told == {"metric name": 3, "metric value": 3, "field": 1}
    run = trainer.get()
    assert (run["quarantined"], run["skipped"]) == (3, 3)
    counts = {one["name"]: (one["count"], one["step"]) for one in run["left_out"]["metrics"]}
    assert counts["a\\tb"] == counts["text"] == counts["at"] == (3, 2)
    assert len(counts) == 7
    lines = api.get(f"/api/v1/runs/{trainer.run_id}/quarantine").text.splitlines()
    assert len(lines) == 3
    assert "format_reward" not in lines[0].split('"body"')[1]
    page = api.get(f"/runs/{trainer.run_id}", headers={"Accept": "text/html"}).text
    assert "What Cusp left out" in page
    assert "a\\tb" in page
    assert trainer.send(point(9)) == {"next_seq": 4, "commands": []}


def test_a_repeat_is_not_counted_again(api: TestClient) -> None:
    trainer = Trainer(api)
    for _ in range(3):
        trainer.send(raw(1, {"a": 1.0, "b": "c"}), first_seq=0)
    assert trainer.get()["left_out"]["metrics"][0]["count"] == 1


def test_names_without_end_are_counted_and_bounded(api: TestClient) -> None:
    trainer = Trainer(api)
    for start in range(0, 300, 100):
        trainer.send(
            *(raw(s, {f"bad\n{s}-{i}": 1.0 for i in range(5)}) for s in range(start, start + 100))
        )
    lacks = trainer.get()["left_out"]
    assert len(lacks["metrics"]) == left_out.MOST_NAMES
    assert lacks["more"] == 1_500 - left_out.MOST_NAMES
    assert trainer.get()["step"] == 299


@pytest.mark.parametrize("late", ["accuracy_reward", "rewards/soft/mean", "my/own", "train/loss"])
def test_what_matters_finds_room_after_any_amount_of_junk(database_url: str, late: str) -> None:
    app = create_app(MonitorConfig(database_url, series_limit=20))
    with TestClient(app, base_url="http://127.0.0.1:8787") as api:
        told = {"format": ["my/own"]} if late == "my/own" else {}
        trainer = Trainer(api, metadata={"roles": told})
        for step in range(10):
            trainer.send(raw(step, {f"time/{step}/{i}": 1.0 for i in range(40)}))
        reply = trainer.send(raw(10, {late: 0.5, "junk": 1.0}))
        assert trainer.series(late) == ([10], [0.5])
        assert [one["kind"] for one in reply["refused"]] == ["number of series"]
        assert trainer.series("junk") == ([], [])
        for step in range(11, 20):
            trainer.send(raw(step, {f"rewards/{step}/{i}": 1.0 for i in range(100)}))
        trainer.send(raw(20, {"format_reward": 1.0, "kl": 0.5}))
        assert told or trainer.series("format_reward") == ([20], [1.0])
        assert trainer.series("kl") == ([20], [0.5])
        assert len(trainer.get("/series")["series"]) <= 20 + REWARD_ROOM + 14 + 1


def test_of_600_metrics_in_a_point_those_that_matter_are_stored(api: TestClient) -> None:
    trainer = Trainer(api)
    junk = {f"layer/{i}": 1.0 for i in range(600)}
    reply = trainer.send(raw(1, {**junk, "format_reward": 0.5, "rewards/x": 1.0}))
    assert trainer.series("format_reward") == ([1], [0.5])
    assert trainer.series("rewards/x") == ([1], [1.0])
    assert reply["refused"][0] == {
        "kind": "number of metrics",
        "reason": reply["refused"][0]["reason"],
        "count": 90,
    }


def test_a_training_ends_and_a_command_is_acknowledged_however_long_the_reason(
    api: TestClient,
) -> None:
    trainer = Trainer(api)
    trainer.send(point(1), checkpoint(1))
    api.post(f"/api/v1/runs/{trainer.run_id}/stop")
    command = trainer.send()["commands"][0]
    reply = trainer.ack(command, "done", reason="r" * 50_000, step=-1, rank=0)
    assert {one["kind"] for one in reply["refused"]} == {"field"}
    trainer.send(status("failed", reason="a\0" + "b" * 50_000, traceback=["x"]))
    run = trainer.get()
    assert (run["status"], run["commands"][0]["state"]) == ("failed", "done")
    assert len(run["status_reason"]) == 32_768
    assert run["left_out"]["fields"] == {"rank": 1, "traceback": 1}


def test_a_path_too_long_costs_its_checkpoint_alone_and_is_named(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send({**checkpoint(1), "path": "p" * 1_001}, checkpoint(2), point(3))
    assert [c["step"] for c in trainer.get("/checkpoints")["checkpoints"]] == [2]
    assert "path" in trainer.get()["quarantine"][0]["reason"]


def test_a_newer_client_is_taken_and_what_is_unknown_is_counted(api: TestClient) -> None:
    start: Json = {"run_id": new_id(), "attempt_id": new_id(), "name": "n", "cusp_version": "0.2"}
    deep: Json = {}
    for _ in range(150):
        deep = {"a": deep}
    start |= {"metadata": {"max_steps": 9, "optimizer": deep}, "policy": {"patience": True}}
    answer = api.post("/api/v1/runs", json={**start, "host": deep}).json()
    assert answer["ignored"] == ["cusp_version", "metadata.optimizer", "policy.patience"]
    assert len(answer["refused"]) == 1
    for seq in range(3):
        message = raw(seq, {"reward": 1.0}, epoch=0.5, phase=deep)
        body = {
            "attempt_id": start["attempt_id"],
            "first_seq": seq,
            "messages": [message],
            "clock": 3,
        }
        sent = api.post(f"/api/v1/runs/{start['run_id']}/batches", json=body)
        assert sent.json() == {"next_seq": seq + 1, "commands": []}
    run = api.get(f"/api/v1/runs/{start['run_id']}").json()
    assert (run["quarantined"], run["max_steps"], run["policy"]["action"]) == (0, 9, "stop")
    fields = {"cusp_version": 1, "metadata.optimizer": 1, "policy.patience": 1}
    assert run["left_out"]["fields"] == {**fields, "clock": 3, "epoch": 3, "phase": 3}
    assert "host" in run["left_out"]["start"][0]


def test_an_action_of_a_newer_client_never_stops_a_training(api: TestClient) -> None:
    for policy in ({"action": "verify"}, {"action": None}, "stop at once", ["stop"]):
        trainer = Trainer(api, policy=policy)
        assert trainer.get()["policy"]["action"] == "watch"


def test_bodies_of_people_still_refuse_what_they_do_not_know(api: TestClient) -> None:
    trainer = Trainer(api)
    answer = api.post(f"/api/v1/runs/{trainer.run_id}/stop", json={"resaon": "x"})
    assert (answer.status_code, "resaon" in answer.text) == (422, True)


@pytest.mark.parametrize("wrong", [{"run_id": "x"}, {"attempt_id": 5}, {"v": 2}, {"name": ""}])
def test_what_an_announcement_cannot_do_without_is_refused_with_its_name(
    api: TestClient, wrong: Json
) -> None:
    body = {"run_id": new_id(), "attempt_id": new_id(), "name": "n", **wrong}
    answer = api.post("/api/v1/runs", json=body)
    assert (answer.status_code, next(iter(wrong)) in answer.json()["detail"]) == (422, True)
