"""Every POST that acts takes an Idempotency-Key: a repeat gets the same answer and changes nothing."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from cusp.ids import new_id
from monitor.app import create_app
from monitor.database.schema import metadata
from monitor.settings import MonitorConfig
from monitor.store.access import audit
from monitor.webhooks.ssrf import allowed_networks
from tests.conftest import Clock
from tests.messages import Json, Trainer, checkpoint, point, status
from tests.monitor.api.routes.test_jobs import claim, ended

# Not acts but data, each recognised by what it holds when it comes again: an attempt by its id, a message
# by its number, an evaluation by its job, checkpoint and split, or by its own id; a heartbeat only says
# that it was sent, as a worker does that it is there.
DATA = {
    "/api/v1/runs",
    "/api/v1/runs/{run_id}/batches",
    "/api/v1/jobs/{job_id}/heartbeat",
    "/api/v1/jobs/{job_id}/evaluations",
    "/api/v1/jobs/{job_id}/evaluations/texts",
    "/api/v1/jobs/{job_id}/problems",
    "/api/v1/runs/{run_id}/evaluations",
    "/api/v1/workers",
}
Request = tuple[dict[str, str], Json | None]  # the ids in the path, the body


@pytest.fixture
def api(database_url: str, clock: Clock) -> Iterator[TestClient]:
    """A monitor on each database whose threads do not run: what changes, a request has changed."""
    app = create_app(MonitorConfig(database_url, webhook_allow=allowed_networks("127.0.0.1")))
    app.state.service.clock = clock
    app.state.service.ingest._clock = clock
    yield TestClient(app, base_url="http://127.0.0.1:8787")
    app.state.service.database.close()


def trained(api: TestClient, *more: Json) -> Trainer:
    trainer = Trainer(api, metadata={"recipe": True, "evaluable": True})
    trainer.send(point(9), checkpoint(9), *more)
    return trainer


def verifying(api: TestClient) -> Request:
    trainer = Trainer(api, metadata={"verifies": "training"})
    trainer.send(checkpoint(9), point(10))
    return {"run_id": trainer.run_id}, None


def checkpoint_id(trainer: Trainer) -> str:
    return str(trainer.get("/checkpoints")["checkpoints"][0]["id"])


def deleted(api: TestClient) -> Request:
    trainer = trained(api, status("finished"))
    assert api.delete(f"/api/v1/runs/{trainer.run_id}").status_code == 200
    return {"run_id": trainer.run_id}, {}


def held(api: TestClient) -> Request:
    ended(api)
    job = claim(api)
    assert job is not None
    return {"job_id": job["id"]}, {"token": job["token"], "state": "done"}


def waiting(api: TestClient) -> Request:
    ended(api)
    return {}, {"worker": "w1", "kinds": ["evaluate"]}


def webhook(api: TestClient) -> str:
    made = api.post("/api/v1/webhooks", json={"url": "http://127.0.0.1:9/a"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def dead_delivery(api: TestClient) -> Request:
    hook = webhook(api)
    ping = api.post(f"/api/v1/webhooks/{hook}/test").json()["id"]
    with api.app.state.service.database.write() as tx:  # type: ignore[attr-defined]
        outbox = metadata.tables["deliveries"]
        tx.execute(outbox.update().values(state="dead", ended_at=1.0))
    return {"webhook_id": hook, "delivery_id": ping}, None


def trainable(api: TestClient) -> Request:
    there = {"name": "w1", "box": "b", "gpus": 0, "recipes": ["tiny"]}
    assert api.post("/api/v1/workers", json=there).is_success
    return {}, {"recipe": "tiny"}


def submitted(api: TestClient) -> Request:
    asked = api.post("/api/v1/trainings", json=trainable(api)[1])
    return {"job_id": asked.json()["id"]}, None


def scored(api: TestClient) -> Request:
    trainer = trained(api)
    for step in (0, 9):
        right = [float(number < 4 + step) for number in range(20)]
        rows = [{"problem_id": f"p{n}", "sample": 0, "score": one} for n, one in enumerate(right)]
        body = {"evaluation_id": new_id(), "task": "aime24", "step": step, "rows": rows}
        answer = api.post(f"/api/v1/runs/{trainer.run_id}/evaluations", json=body)
        assert answer.is_success, answer.text
    return {"run_id": trainer.run_id}, {"task": "aime24"}


ACTS: dict[str, Callable[[TestClient], Request]] = {
    "/runs/{run_id}/stop": lambda api: ({"run_id": trained(api).run_id}, {"reason": "enough"}),
    "/runs/{run_id}/evaluate": lambda api: ({"run_id": trained(api).run_id}, {}),
    "/runs/{run_id}/resume": lambda api: ({"run_id": trained(api, status("stopped")).run_id}, {}),
    "/runs/{run_id}/verifications": verifying,
    "/runs/{run_id}/comparisons": scored,
    "/runs/{run_id}/restore": deleted,
    "/runs/{run_id}/purge": deleted,
    "/checkpoints/{checkpoint_id}/promote": lambda api: (
        {"checkpoint_id": checkpoint_id(trained(api))},
        {"alias": "production", "expected_current": None},
    ),
    "/checkpoints/{checkpoint_id}/check": lambda api: (
        {"checkpoint_id": checkpoint_id(trained(api))},
        {"state": "corrupt", "sha256": "0" * 64},
    ),
    "/checkpoints/{checkpoint_id}/pin": lambda api: (
        {"checkpoint_id": checkpoint_id(trained(api))},
        None,
    ),
    "/checkpoints/{checkpoint_id}/export": lambda api: (
        {"checkpoint_id": checkpoint_id(trained(api))},
        {"merged": True},
    ),
    "/trainings": trainable,
    "/trainings/{job_id}/cancel": submitted,
    "/jobs/claim": waiting,
    "/jobs/{job_id}/finish": held,
    "/jobs/{job_id}/cancel": lambda api: (held(api)[0], None),
    "/tokens": lambda api: ({}, {"name": "box 7", "scopes": ["ingest"]}),
    "/webhooks": lambda api: ({}, {"url": "http://127.0.0.1:9/b"}),
    "/webhooks/{webhook_id}/test": lambda api: ({"webhook_id": webhook(api)}, None),
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/retry": dead_delivery,
}


def stored(api: TestClient) -> dict[str, list[str]]:
    """Return every row there is, but those that say that a request came."""
    found: dict[str, list[str]] = {}
    with api.app.state.service.database.read() as tx:  # type: ignore[attr-defined]
        for name, table in metadata.tables.items():
            statement = select(table)
            if name == "audit":
                statement = statement.where(table.c.action != audit.REQUEST)
            found[name] = sorted(map(str, tx.execute(statement).all()))
    return found


def posts(api: TestClient) -> dict[str, Json]:
    paths = api.get("/openapi.json").json()["paths"]
    return {path: operations["post"] for path, operations in paths.items() if "post" in operations}


def test_every_post_that_acts_declares_the_key_and_is_tried_below(api: TestClient) -> None:
    found = posts(api)
    acting = found.keys() - DATA
    assert {f"/api/v1{path}" for path in ACTS} == acting
    for path in acting:
        (key,) = [p for p in found[path]["parameters"] if p["name"] == "Idempotency-Key"]
        assert (key["in"], key["required"]) == ("header", False), path
        assert "409" in found[path]["responses"], path


def test_a_repeat_with_the_same_key_gets_the_same_answer_and_changes_nothing(
    api: TestClient,
) -> None:
    for path, prepared in ACTS.items():
        ids, body = prepared(api)
        url = "/api/v1" + path.format_map(ids)
        before, headers = stored(api), {"Idempotency-Key": f"once, {path}"}
        first = api.post(url, json=body, headers=headers)
        assert first.is_success, f"{path}: {first.text}"
        after = stored(api)
        assert after != before, f"{path} did not act at all"
        for _ in range(3):
            again = api.post(url, json=body, headers=headers)
            assert (again.status_code, again.json()) == (first.status_code, first.json()), path
        assert stored(api) == after, path
        other = api.post(f"/api/v1/runs/{new_id()}/stop", headers=headers)
        assert other.status_code == 409, path
        assert "was used for another request" in other.json()["detail"]
        assert stored(api) == after, path


def test_a_token_made_under_a_key_opens_and_its_secret_is_stored_nowhere(api: TestClient) -> None:
    asked, headers = {"name": "box 7", "scopes": ["read"]}, {"Idempotency-Key": "once"}
    first, second = (api.post("/api/v1/tokens", json=asked, headers=headers) for _ in "12")
    another = api.post("/api/v1/tokens", json=asked, headers={"Idempotency-Key": "twice"})
    assert first.json()["token"] == second.json()["token"] != another.json()["token"]
    secret = first.json()["token"].split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in str(stored(api))
    opened = api.get("/api/v1/runs", headers={"Authorization": f"Bearer {first.json()['token']}"})
    assert opened.status_code == 200
    refused = api.get(
        "/api/v1/tokens", headers={"Authorization": f"Bearer {first.json()['token']}"}
    )
    assert refused.status_code == 403, "the token counts, though this monitor is open without one"


def test_a_secret_that_cannot_be_made_again_is_a_conflict_not_a_wrong_one(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, headers = {"name": "box 7", "scopes": ["read"]}, {"Idempotency-Key": "once"}
    made = api.post("/api/v1/tokens", json=asked, headers=headers).json()
    monkeypatch.setattr("monitor.api.routes.tokens._OF_THIS_PROCESS", "of another process")
    again = api.post("/api/v1/tokens", json=asked, headers=headers)
    assert again.status_code == 409
    assert made["id"] in again.json()["detail"]
    assert len(api.get("/api/v1/tokens").json()["tokens"]) == 1


def test_a_key_under_which_nothing_was_done_is_free_again(api: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    asked = {"worker": "w1", "kinds": ["evaluate"]}
    assert api.post("/api/v1/jobs/claim", json=asked, headers=headers).status_code == 204
    ended(api)
    assert api.post("/api/v1/jobs/claim", json=asked, headers=headers).status_code == 200
