"""Tokens: each opens what its scopes and limits say, and nothing once it is revoked."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import text

from cusp.ids import new_id
from monitor.app import create_app
from monitor.auth import tokens as checking
from monitor.auth.grants import SCOPES
from monitor.services import Service
from monitor.settings import MonitorConfig
from tests.messages import Json, Trainer, checkpoint, point

KEY = "the-bootstrap-token-of-a-test"
STREAMS = (
    "/api/v1/events",
    "/api/v1/events/shared",
)  # endless; tried in test_guards.py and tests/api


@pytest.fixture
def admin(database_url: str) -> Iterator[TestClient]:
    """A guarded monitor, asked with its bootstrap token."""
    app = create_app(MonitorConfig(database_url, token=KEY))
    with TestClient(app, follow_redirects=False) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        yield client


def make(admin: TestClient, *scopes: str, **limits: str) -> Json:
    body = {"name": f"a {'+'.join(scopes)} token", "scopes": scopes, **limits}
    answer = admin.post("/api/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def holder(admin: TestClient, made: Json) -> TestClient:
    """Return a client of the same monitor that holds another token."""
    client = TestClient(admin.app, base_url="http://127.0.0.1:8787", follow_redirects=False)
    client.headers["Authorization"] = f"Bearer {made['token']}"
    return client


def operations(client: TestClient) -> dict[tuple[str, str], Json]:
    paths = client.get("/openapi.json").json()["paths"]
    return {(m, path): found for path, methods in paths.items() for m, found in methods.items()}


def asked(client: TestClient, method: str, path: str, **ids: str) -> int:
    """Ask with made-up ids and an empty body; a stream that opens would not end, so it is not read."""
    for name in re.findall(r"\{(\w+_id)\}", path):
        path = path.replace(f"{{{name}}}", ids.get(name, new_id()))
    return client.request(method, path, json={}).status_code


def test_every_route_declares_one_scope(admin: TestClient) -> None:
    found = operations(admin)
    assert len(found) > 25
    for (method, path), operation in found.items():
        if path in ("/healthz", "/readyz"):
            assert "security" not in operation
            continue
        (requirement,) = operation.get("security") or [{}]
        scopes = [scope for each in requirement.values() for scope in each]
        assert len(scopes) == 1, f"{method} {path} declares {scopes}; add needs(...)"
        assert scopes[0] in SCOPES


def test_pages_that_are_not_in_the_document_declare_one_too(admin: TestClient) -> None:
    app: Any = admin.app
    pages = [r for r in every_route(app.routes) if not r.include_in_schema]
    assert {"/", "/login", "/runs/{run_id}"} <= {route.path for route in pages}
    for route in pages:
        if route.path not in ("/login", "/logout", "/static/{name:path}"):
            assert route.dependencies, route.path


def every_route(found: Any) -> Iterator[APIRoute]:
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from every_route(route.original_router.routes)


@pytest.mark.parametrize("held", ["ingest", "read", "control"])
def test_a_scope_opens_its_own_routes_and_no_other(admin: TestClient, held: str) -> None:
    client = holder(admin, make(admin, held))
    for (method, path), operation in operations(admin).items():
        if "security" not in operation or path in STREAMS:
            continue
        ((wanted,),) = operation["security"][0].values()
        status = asked(client, method, path)
        assert (status == 403) == (wanted != held), (method, path, status)
        assert status < 500


def test_admin_covers_every_scope(admin: TestClient) -> None:
    client = holder(admin, make(admin, "admin"))
    for (method, path), operation in operations(admin).items():
        if "security" in operation and path not in STREAMS:
            assert asked(client, method, path) not in (401, 403), (method, path)


def test_a_trainers_token_can_only_feed_its_own_run(admin: TestClient) -> None:
    other = Trainer(admin)
    own = new_id()
    client = holder(admin, make(admin, "ingest", run_id=own))
    trainer = Trainer(client, own)
    assert trainer.send(point(1))["next_seq"] == 1
    start = {"run_id": other.run_id, "attempt_id": new_id(), "name": "n"}
    assert client.post("/api/v1/runs", json=start).status_code == 403
    batch = {"attempt_id": other.attempt_id, "first_seq": 0, "messages": [point(1)]}
    assert client.post(f"/api/v1/runs/{other.run_id}/batches", json=batch).status_code == 403
    assert client.post(f"/api/v1/runs/{own}/stop").status_code == 403
    assert client.get(f"/api/v1/runs/{own}").status_code == 403
    assert client.get("/api/v1/runs").status_code == 403
    assert client.get("/api/v1/tokens").status_code == 403


def test_a_token_limited_to_a_run_reaches_no_other_by_any_route(admin: TestClient) -> None:
    own, other = Trainer(admin), Trainer(admin, config={"hidden": 1})
    for trainer in (own, other):
        trainer.send(point(1), checkpoint(1))
    client = holder(admin, make(admin, "read", "control", run_id=own.run_id))
    foreign = other.get("/checkpoints")["checkpoints"][0]["id"]
    mine = own.get("/checkpoints")["checkpoints"][0]["id"]
    for (method, path), operation in operations(admin).items():
        if "security" in operation and path not in STREAMS:
            ids = {"run_id": other.run_id, "checkpoint_id": foreign}
            status = asked(client, method, path, **ids)
            filtered = ("runs", "run-columns", "deleted-runs", "checkpoints/unverified")
            lists = method == "get" and path.removeprefix("/api/v1/") in filtered
            assert status == (200 if lists else 403), path
    assert "hidden" in admin.get("/api/v1/run-columns").json()["config"]
    assert "hidden" not in client.get("/api/v1/run-columns").json()["config"]
    assert [r["id"] for r in client.get("/api/v1/runs").json()["runs"]] == [own.run_id]
    gone = client.get("/api/v1/deleted-runs").json()
    assert (gone["deleted_runs"], gone["total"]) == ([], 0)
    assert client.get(f"/api/v1/runs/{own.run_id}/series").status_code == 200
    assert client.get("/api/v1/jobs", params={"run_id": own.run_id}).status_code == 200
    assert client.get("/api/v1/jobs", params={"run_id": other.run_id}).status_code == 403
    assert client.post(f"/api/v1/checkpoints/{mine}/promote", json={}).status_code == 200
    assert client.get(f"/runs/{other.run_id}").status_code == 403
    assert other.run_id not in client.get("/").text


def test_a_token_limited_to_a_project_sees_and_feeds_only_that(admin: TestClient) -> None:
    inside, outside = Trainer(admin, project="a"), Trainer(admin, project="b")
    client = holder(admin, make(admin, "read", "ingest", project="a"))
    assert [r["id"] for r in client.get("/api/v1/runs").json()["runs"]] == [inside.run_id]
    assert client.get("/api/v1/runs", params={"project": "b"}).json()["runs"] == []
    assert client.get(f"/api/v1/runs/{inside.run_id}").status_code == 200
    assert client.get(f"/api/v1/runs/{outside.run_id}").status_code == 403
    start = {"run_id": new_id(), "attempt_id": new_id(), "name": "n"}
    assert client.post("/api/v1/runs", json={**start, "project": "a"}).status_code == 200
    stolen = {**start, "run_id": outside.run_id, "attempt_id": new_id(), "project": "a"}
    assert client.post("/api/v1/runs", json=stolen).status_code == 403


def test_a_revoked_token_is_refused_at_once_here_and_soon_elsewhere(
    admin: TestClient, database_url: str
) -> None:
    made = make(admin, "read")
    elsewhere = Service(MonitorConfig(database_url, token=KEY)).tokens
    ticks = [0.0]
    elsewhere._ticks = lambda: ticks[0]
    assert holder(admin, made).get("/api/v1/runs").status_code == 200
    assert elsewhere.of_bearer(made["token"]) is not None
    ended = admin.delete(f"/api/v1/tokens/{made['id']}").json()
    assert (ended["revoked_by"], ended["revoked_at"] is not None) == ("person", True)
    assert holder(admin, made).get("/api/v1/runs").status_code == 401
    ticks[0] = checking.REMEMBERED_S + 0.1
    assert elsewhere.of_bearer(made["token"]) is None
    again = admin.delete(f"/api/v1/tokens/{made['id']}").json()
    assert again["revoked_at"] == ended["revoked_at"]
    elsewhere._database.close()


def test_a_batch_of_points_looks_no_token_up(admin: TestClient) -> None:
    client = holder(admin, make(admin, "ingest"))
    app: Any = admin.app
    checked: checking.Tokens = app.state.service.tokens
    trainer = Trainer(client)
    looked_up: list[str] = []
    checked._look_up = looked_up.append  # type: ignore[assignment]
    trainer.send(point(1))
    trainer.send(point(2))
    assert looked_up == []


def test_the_secret_is_shown_once_and_kept_nowhere(admin: TestClient) -> None:
    made = make(admin, "read")
    secret = made["token"].rpartition(made["id"])[2][1:]
    assert len(secret) >= 43  # 256 bits
    assert secret not in json.dumps(admin.get("/api/v1/tokens").json())
    app: Any = admin.app
    with app.state.service.database.read() as tx:
        stored = tx.execute(text("SELECT * FROM tokens")).one()
    assert secret not in str(stored)
    assert admin.get("/api/v1/tokens").json()["tokens"][0]["name"] == "a read token"


@pytest.mark.parametrize("damage", ["x", "é", "\x7f"])
def test_a_damaged_token_is_refused(admin: TestClient, damage: str) -> None:
    made = make(admin, "admin")
    for token in (made["token"] + damage, made["token"][:-1], f"cusp_{new_id()}_secret", damage):
        headers = {b"Authorization": f"Bearer {token}".encode()}
        answer = TestClient(admin.app).get("/api/v1/runs", headers=headers)
        assert answer.status_code == 401


def test_the_audit_log_names_the_token_that_acted(admin: TestClient) -> None:
    trainer = Trainer(admin)
    client = holder(admin, make(admin, "control"))
    command = client.post(f"/api/v1/runs/{trainer.run_id}/stop", json={}).json()
    assert command["author"] == "a control token"
    assert trainer.get("/audit")["audit"][0]["actor"] == "a control token"


def test_no_token_may_be_called_like_the_policy(admin: TestClient) -> None:
    answer = admin.post("/api/v1/tokens", json={"name": "policy", "scopes": ["control"]})
    assert answer.status_code == 409


def test_a_browser_logged_in_with_a_token_has_its_limits(admin: TestClient) -> None:
    trainer = Trainer(admin)
    made = make(admin, "read")
    browser = TestClient(admin.app, follow_redirects=False)
    answer = browser.post("/login", data={"token": made["token"]})
    assert answer.status_code == 303
    assert made["token"] not in answer.headers["set-cookie"]
    assert browser.get("/api/v1/runs").status_code == 200
    assert browser.post(f"/api/v1/runs/{trainer.run_id}/stop", json={}).status_code == 403
    admin.delete(f"/api/v1/tokens/{made['id']}")
    assert browser.get("/api/v1/runs").status_code == 401
    (name,) = browser.cookies
    forged = TestClient(admin.app, cookies={name: f"{made['id']}.{'0' * 64}"})
    assert forged.get("/api/v1/runs").status_code == 401


def test_without_a_bootstrap_token_a_made_one_keeps_its_limits(database_url: str) -> None:
    with TestClient(
        create_app(MonitorConfig(database_url)), base_url="http://127.0.0.1:8787"
    ) as anyone:
        made = make(anyone, "read")
        client = holder(anyone, made)
        assert client.get("/api/v1/runs").status_code == 200
        assert client.get("/api/v1/tokens").status_code == 403
        assert anyone.delete(f"/api/v1/tokens/{made['id']}").status_code == 200
        assert client.get("/api/v1/runs").status_code == 401
