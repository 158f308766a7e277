"""Limits of number and rate, what was set aside, and the audit of every acting request."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.actions import quotas
from monitor.api.middleware import authentication
from monitor.app import create_app
from monitor.ingest import quarantine
from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer, checkpoint, point, status

KEY = "the-bootstrap-token-of-a-test"
JSON = {"Content-Type": "application/json"}
HEADERS = {"Authorization": f"Bearer {KEY}"}


def test_only_the_metric_beyond_the_limit_is_set_aside(database_url: str) -> None:
    app = create_app(MonitorConfig(database_url, series_limit=2))
    with TestClient(app, base_url="http://127.0.0.1:8787") as api:
        trainer = Trainer(api)
        trainer.send(point(1, a=1.0, b=2.0, c=3.0), point(2, a=4.0, b=5.0))
        assert [trainer.series(name)[1] for name in "abc"] == [[1.0, 4.0], [2.0, 5.0], []]
        run = trainer.get()
        assert run["quarantined"] == 1
        assert "'c' of step 1 was set aside; log fewer names" in run["quarantine"][0]["reason"]


def test_what_was_set_aside_is_downloaded_as_json_lines(api: TestClient) -> None:
    trainer = Trainer(api)
    hostile = {"kind": "nonsense", "text": "</script>\n\x00\ud800"}
    body = {"attempt_id": trainer.attempt_id, "first_seq": 0, "messages": [hostile, point(1)]}
    sent = api.post(
        f"/api/v1/runs/{trainer.run_id}/batches", content=json.dumps(body), headers=JSON
    )
    assert sent.status_code == 200, sent.text
    answer = api.get(f"/api/v1/runs/{trainer.run_id}/quarantine")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["content-disposition"].startswith("attachment")
    (line,) = answer.text.splitlines()
    found = json.loads(line)
    assert (found["attempt"], found["seq"]) == (1, 0)
    assert json.loads(found["body"]) == hostile
    assert found["reason"]


def test_beyond_what_is_kept_messages_are_only_counted(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "KEPT_ASIDE", 3)
    trainer = Trainer(api)
    for _ in range(2):
        trainer.send(*({"kind": "nonsense"} for _ in range(4)))
    assert trainer.get()["quarantined"] == 8
    kept = api.get(f"/api/v1/runs/{trainer.run_id}/quarantine").text
    assert len(kept.splitlines()) == 3


def test_a_full_project_and_a_full_run_refuse_with_the_way_out(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "RUNS_OF_A_PROJECT", 1)
    monkeypatch.setattr(quotas, "ATTEMPTS_OF_A_RUN", 1)
    trainer = Trainer(api, project="p")
    trainer.announce()  # a repeat needs no room
    other = {**trainer.start, "run_id": new_id(), "attempt_id": new_id()}
    answer = api.post("/api/v1/runs", json=other)
    assert (answer.status_code, "CUSP_PROJECT" in answer.text) == (409, True)
    again = api.post("/api/v1/runs", json={**trainer.start, "attempt_id": new_id()})
    assert (again.status_code, "CUSP_RUN_ID" in again.text) == (409, True)


def test_a_run_with_too_many_waiting_jobs_takes_no_more_until_one_is_done(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "WAITING_JOBS_OF_A_RUN", 2)
    trainer = Trainer(api, metadata={"evaluable": True})
    trainer.send(checkpoint(1))
    path = f"/api/v1/runs/{trainer.run_id}/evaluate"
    assert [api.post(path, json={}).status_code for _ in range(2)] == [202, 202]
    refused = api.post(path, json={})
    assert (refused.status_code, "cusp worker" in refused.text) == (409, True)
    # The run's own end is not held up by it.
    assert trainer.send(status("finished"))["next_seq"] == 2
    claimed = api.post("/api/v1/jobs/claim", json={"worker": "w", "kinds": ["evaluate"]}).json()
    ended = {"token": claimed["token"], "state": "failed", "error": "e"}
    assert api.post(f"/api/v1/jobs/{claimed['id']}/finish", json=ended).status_code == 200
    waiting = [job for job in trainer_jobs(api, trainer) if job["state"] in ("queued", "leased")]
    monkeypatch.setattr(quotas, "WAITING_JOBS_OF_A_RUN", len(waiting) + 1)
    assert api.post(path, json={}).status_code == 202
    assert api.post(path, json={}).status_code == 409


def trainer_jobs(api: TestClient, trainer: Trainer) -> list[Json]:
    found: list[Json] = api.get("/api/v1/jobs", params={"run_id": trainer.run_id}).json()["jobs"]
    return found


def test_a_trainer_is_not_sent_commands_without_end(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "OPEN_COMMANDS_OF_A_RUN", 2)
    trainer = Trainer(api)
    trainer.send(checkpoint(1))
    checkpoint_id = trainer.get("/checkpoints")["checkpoints"][0]["id"]
    pin, promote = (f"/api/v1/checkpoints/{checkpoint_id}/{act}" for act in ("pin", "promote"))
    assert [api.post(pin, json={}).status_code for _ in range(2)] == [202, 202]
    for path in (pin, promote):
        refused = api.post(path, json={})
        assert (refused.status_code, "open commands" in refused.text) == (409, True)
    assert trainer.get("/checkpoints")["checkpoints"][0]["aliases"] == []
    command = trainer.send()["commands"][0]
    trainer.ack(command, "refused", reason="r")
    assert api.post(pin, json={}).status_code == 202


def test_a_token_that_asks_too_often_is_told_when_to_ask_again(tmp_path: Path) -> None:
    config = MonitorConfig(str(tmp_path / "cusp.db"), token=KEY, rate_per_s=0.2)
    with TestClient(create_app(config)) as client:
        assert client.get("/api/v1/runs", headers=HEADERS).status_code == 200
        answer = client.get("/api/v1/runs", headers=HEADERS)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
        assert client.get("/healthz").status_code == 200


def test_guessing_tokens_is_slowed_down_by_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "STRANGERS_PER_S", 0.01)  # however slow this machine asks
    with TestClient(create_app(MonitorConfig(str(tmp_path / "cusp.db"), token=KEY))) as client:
        found = [client.post("/login", data={"token": "guess"}).status_code for _ in range(300)]
        assert found[0] == 403
        assert 429 in found
        assert client.get("/api/v1/runs", headers=HEADERS).status_code == 200


def test_every_acting_request_is_audited_with_who_where_and_outcome(database_url: str) -> None:
    with TestClient(create_app(MonitorConfig(database_url, token=KEY))) as client:
        path = f"/api/v1/runs/{new_id()}/stop"
        client.post(path, headers=HEADERS)
        client.post(path)
        made = client.post(
            "/api/v1/tokens", json={"name": "n", "scopes": ["read"]}, headers=HEADERS
        )
        rows = client.get("/api/v1/audit?requests=true", headers=HEADERS).json()["audit"]
        asked = {
            (r["actor"], r["target"], r["detail"]["status"])
            for r in rows
            if r["action"] == "request"
        }
        assert asked == {
            ("person", f"POST {path}", 404),
            ("nobody", f"POST {path}", 401),
            ("person", "POST /api/v1/tokens", 201),
        }
        assert all(row["detail"]["from"] == "testclient" for row in rows)
        acts = client.get("/api/v1/audit", headers=HEADERS).json()["audit"]
        assert [(a["action"], a["target"]) for a in acts] == [("create token", made.json()["id"])]
        assert made.json()["token"] not in str(rows)
