"""Who may ask for what: tokens, origins, headers, and where the monitor may listen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.app import create_app
from monitor.settings import ConfigError, MonitorConfig, checked

TOKEN = "a-token-of-enough-length"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[TestClient]:
    config = MonitorConfig(str(tmp_path / "cusp.db"), token=TOKEN)
    with TestClient(create_app(config), follow_redirects=False) as client:
        yield client


def routes(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()[
        "paths"
    ]
    return [(method, path) for path, methods in paths.items() for method in methods]


def test_every_route_but_the_health_checks_needs_the_token(guarded: TestClient) -> None:
    found = routes(guarded)
    assert len(found) > 20
    for method, path in found:
        if path in ("/healthz", "/readyz"):
            assert guarded.request(method, path).status_code == 200
            continue
        url = path
        for name in (
            "run_id",
            "checkpoint_id",
            "command_id",
            "job_id",
            "change_point_id",
            "token_id",
            "webhook_id",
            "delivery_id",
        ):
            url = url.replace(f"{{{name}}}", new_id())
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN[:-1]}):
            answer = guarded.request(method, url, headers=headers, json={})
            assert answer.status_code == 401, (method, path)
    assert guarded.get("/openapi.json").status_code == 401


def test_the_right_token_opens(guarded: TestClient) -> None:
    answer = guarded.get("/api/v1/runs", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.json()["runs"] == []


def test_a_browser_logs_in_once_and_the_cookie_is_not_the_token(guarded: TestClient) -> None:
    page = guarded.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    assert guarded.post("/login", data={"token": "wrong"}).status_code == 403
    answer = guarded.post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert guarded.get("/", headers={"Accept": "text/html"}).status_code == 200


def test_a_page_of_another_site_cannot_act_even_without_a_token(tmp_path: Path) -> None:
    with TestClient(
        create_app(MonitorConfig(str(tmp_path / "cusp.db"))), base_url="http://127.0.0.1:8787"
    ) as client:
        path = f"/api/v1/runs/{new_id()}/stop"
        evil = client.post(path, headers={"Origin": "https://evil.example"})
        assert evil.status_code == 403
        own = client.post(path, headers={"Origin": "http://127.0.0.1:8787"})
        assert own.status_code == 404


def test_without_a_token_only_this_machines_names_are_answered(tmp_path: Path) -> None:
    """A page whose name was rebound to 127.0.0.1 sends its own name as Host and as Origin."""
    with TestClient(create_app(MonitorConfig(str(tmp_path / "cusp.db")))) as client:
        for host, status in (("evil.example:8787", 403), ("localhost:8787", 200), ("[::1]", 200)):
            headers = {"Host": host, "Origin": f"http://{host}"}
            assert client.get("/api/v1/runs", headers=headers).status_code == status


def test_pages_allow_no_inline_script(guarded: TestClient) -> None:
    answer = guarded.get("/login")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text


@pytest.mark.parametrize("name", ["../app.py", "..%2f..%2fpyproject.toml", "app.css%00", "x"])
def test_only_shipped_files_are_served(guarded: TestClient, name: str) -> None:
    assert guarded.get(f"/static/{name}").status_code in (401, 404)


def test_beyond_loopback_a_token_is_needed() -> None:
    with pytest.raises(ConfigError, match="set CUSP_TOKEN, or use --host 127"):
        checked(MonitorConfig("x", host="0.0.0.0"))
    with pytest.raises(ConfigError, match="fewer than 16 characters"):
        checked(MonitorConfig("x", host="0.0.0.0", token="short"))
    assert checked(MonitorConfig("x", host="0.0.0.0", token=TOKEN)).token == TOKEN


def test_a_checkpoint_path_from_the_network_is_only_stored(guarded: TestClient) -> None:
    """The monitor never opens it; only the worker on that box does, below its own root."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    run, attempt = new_id(), new_id()
    guarded.post(
        "/api/v1/runs", json={"run_id": run, "attempt_id": attempt, "name": "n"}, headers=headers
    )
    message = {
        "kind": "checkpoint",
        "checkpoint_id": new_id(),
        "step": 1,
        "path": "../../../../etc",
        "sha256": "0" * 64,
        "bytes": 1,
    }
    body = {"attempt_id": attempt, "first_seq": 0, "messages": [message]}
    answer = guarded.post(f"/api/v1/runs/{run}/batches", json=body, headers=headers)
    assert answer.status_code == 200
