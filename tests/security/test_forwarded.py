"""What a proxy may say, and who is believed: prefix, host, scheme; and that no address leads elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cusp.ids import new_id
from monitor.app import create_app
from monitor.settings import ConfigError, MonitorConfig, from_environment
from monitor.webhooks import outbox
from tests.messages import Trainer, point
from tests.receivers import Receiver

KEY = "the-bootstrap-token-of-a-test"
BEARER = {"Authorization": f"Bearer {KEY}"}
PROXY, STRANGER = ("127.0.0.1", 50_000), ("192.0.2.7", 50_000)
HTML = {"Accept": "text/html"}


def monitor(folder: Path, client: tuple[str, int] = PROXY, **config: Any) -> TestClient:
    app = create_app(MonitorConfig(str(folder / "cusp.db"), **{"token": KEY, **config}))
    return TestClient(app, base_url="http://m.example", follow_redirects=False, client=client)


@pytest.fixture
def stripped(tmp_path: Path) -> Iterator[TestClient]:
    """Asked through a proxy that strips the prefix and says which."""
    with monitor(tmp_path) as client:
        client.headers["X-Forwarded-Prefix"] = "/team/cusp"
        yield client


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[TestClient]:
    """A monitor that was told its prefix, asked with it."""
    with monitor(tmp_path, root_path="/team/cusp") as client:
        client.base_url = "http://m.example/team/cusp"
        yield client


@pytest.fixture(params=["stripped", "kept"])
def below(request: pytest.FixtureRequest) -> TestClient:
    client: TestClient = request.getfixturevalue(request.param)
    return client


def test_all_that_a_visitor_is_given_lies_below_the_prefix(below: TestClient) -> None:
    sent = below.get(f"/runs/{new_id()}?x=1", headers=HTML)
    assert sent.headers["location"].startswith("/team/cusp/login?next=/runs/")
    assert "path=/team/cusp;" in sent.headers["set-cookie"].lower()
    page = below.get("/login?next=/runs/x").text
    assert 'action="/team/cusp/login"' in page
    assert 'name="next" value="/runs/x"' in page
    answer = below.post("/login", data={"token": KEY, "next": "/runs/x?y#z"})
    assert answer.headers["location"] == "/team/cusp/runs/x?y#z"
    (session, _) = answer.headers.get_list("set-cookie")
    assert "path=/team/cusp;" in session.lower()
    below.headers.update(BEARER)
    trainer = Trainer(below)
    start = {"run_id": trainer.run_id, "attempt_id": new_id(), "name": "n"}
    announced = below.post("/api/v1/runs", json=start).json()
    assert announced["url"] == f"/team/cusp/runs/{trainer.run_id}"
    trainer.send(point(1, format_reward=0.5))
    for path in ("/", f"/runs/{trainer.run_id}", "/nothing"):
        found = below.get(path, headers=HTML).text
        links = [part.partition('"')[0] for part in found.split('href="')[1:]]
        links += [part.partition('"')[0] for part in found.split('src="')[1:]]
        assert len(links) > 5
        assert [link for link in links if not link.startswith(("/team/cusp/", "#"))] == []
        assert 'data-prefix="/team/cusp"' in found
    assert below.get("/openapi.json").json()["servers"] == [{"url": "/team/cusp"}]
    gone = below.post("/logout")
    assert gone.headers["location"] == "/team/cusp/login"
    assert "path=/team/cusp;" in gone.headers["set-cookie"].lower()


@pytest.mark.parametrize("path", ["/team/cusp", "/team/cusp/", "/"])
def test_the_monitor_answers_with_the_prefix_and_without(tmp_path: Path, path: str) -> None:
    with monitor(tmp_path, root_path="/team/cusp") as client:
        assert client.get(path, headers={**BEARER, **HTML}).status_code == 200
        assert client.get(f"{path.rstrip('/')}/healthz").status_code == 200
        assert client.get("/team/cuspid").status_code == 401
        assert client.get("/openapi.json", headers=BEARER).json()["servers"] == [
            {"url": "/team/cusp"}
        ]


def test_guards_see_the_path_without_the_prefix(below: TestClient) -> None:
    assert below.get("/api/v1/runs").status_code == 401
    assert below.get("/static/css/base.css").status_code == 200
    assert below.get("/static/../api/v1/runs").status_code == 401
    below.post("/api/v1/tokens", json={"name": "n", "scopes": ["read"]}, headers=BEARER)
    rows = below.get("/api/v1/audit?requests=true", headers=BEARER).json()["audit"]
    assert "POST /api/v1/tokens" in [row["target"] for row in rows]


def test_only_a_trusted_proxy_says_the_prefix(tmp_path: Path) -> None:
    with monitor(tmp_path, STRANGER) as client:
        page = client.get("/login", headers={"X-Forwarded-Prefix": "/elsewhere"}).text
        assert "elsewhere" not in page
        assert client.get("/login", headers={"X-Forwarded-Prefix": "//["}).status_code == 200


def test_which_proxy_is_trusted_can_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.0/24")
    for client, shown in ((STRANGER, True), (PROXY, False)):
        with monitor(tmp_path, client) as asked:
            page = asked.get("/login", headers={"X-Forwarded-Prefix": "/cusp"}).text
            assert ("/cusp/login" in page) is shown


BAD = [
    *(
        "/a//b",
        "/../x",
        "/.",
        "/a b",
        '/"><script>',
        "/a;b",
        "/a\\b",
        "/é",
        "/%2e",
    ),
    *(
        "https://evil.example",
        "/api",
        "/runs/x",
        "/static",
        "/login",
        "/" + "a" * 300,
        "/a?b",
        "/a#b",
    ),
]


@pytest.mark.parametrize("prefix", BAD)
def test_what_cannot_be_a_prefix_is_refused_with_a_sentence(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigError, match="CUSP_ROOT_PATH: the path prefix is"):
        from_environment({"CUSP_ROOT_PATH": prefix})
    with monitor(tmp_path) as client:
        header = {b"X-Forwarded-Prefix": prefix.encode("latin-1")}
        answer = client.get("/login", headers=header)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("X-Forwarded-Prefix: the path prefix is")


def test_settings_spell_a_prefix_in_any_of_its_ways() -> None:
    for given in ("cusp", "/cusp", "/cusp/", " /cusp ", "//cusp"):
        assert from_environment({"CUSP_ROOT_PATH": given}).root_path == "/cusp"
    for given in ("", "/"):
        assert from_environment({"CUSP_ROOT_PATH": given}).root_path == ""


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (f"/runs/{'A' * 26}/", f"/runs/{'A' * 26}"),
        ("/runs/x/?a=b", "/runs/x?a=b"),
        ("//evil.example/", "/evil.example"),
        ("///evil.example//", "/evil.example"),
        ("/\\evil.example/", "/%5Cevil.example"),
        ("/%5Cevil.example/", "/%5Cevil.example"),
        ("/%2F%2Fevil.example/", "/evil.example"),
        ("/%0d%0aSet-Cookie:x/", "/%0D%0ASet-Cookie:x"),
    ],
)
def test_a_slash_at_the_end_is_forgiven_and_leads_nowhere_else(
    tmp_path: Path, path: str, to: str
) -> None:
    app: Any = monitor(tmp_path).app
    for prefix in ("", "/cusp"):
        sent = asked(app, path, [(b"x-forwarded-prefix", prefix.encode())])
        assert sent["status"] == 307
        assert dict(sent["headers"])[b"location"] == (prefix + to).encode()


def asked(app: Any, target: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return the head of the answer to a path as a server hands it on, not as a client tidies it."""
    import asyncio
    from urllib.parse import unquote

    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"m.example"), *headers],
        "client": PROXY,
        "scheme": "http",
        "http_version": "1.1",
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]


def test_a_proxy_that_keeps_no_host_may_say_which_it_was_asked_for(tmp_path: Path) -> None:
    """Apache's way; a stranger saying so of himself is not believed (test_cross_site.py)."""
    with monitor(tmp_path) as client:
        given = {"Origin": "https://m.example", "Host": "127.0.0.1:8787"}
        said = {"X-Forwarded-Host": "m.example", "X-Forwarded-Proto": "https"}
        login = {"token": KEY}
        assert client.post("/login", data=login, headers=given).status_code == 403
        answer = client.post("/login", data=login, headers={**given, **said})
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Secure-")
        evil = {**given, **said, "Origin": "https://evil.example"}
        assert client.post("/login", data=login, headers=evil).status_code == 403


def test_a_rebound_name_is_not_made_ours_by_saying_so(tmp_path: Path) -> None:
    """A page under a name that was rebound to this machine may send what headers it likes."""
    with monitor(tmp_path, token=None) as client:
        given = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
        assert client.get("/api/v1/runs", headers=given).status_code == 403
        given = {"Host": "localhost:8787", "X-Forwarded-Host": "evil.example"}
        foreign = {**given, "Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert client.post("/api/v1/runs", json={}, headers=foreign).status_code == 403


def test_a_webhook_names_the_page_below_the_prefix(tmp_path: Path) -> None:
    from monitor.webhooks.ssrf import allowed_networks

    config: dict[str, Any] = {"root_path": "/cusp", "webhook_allow": allowed_networks("127.0.0.1")}
    with Receiver() as receiver, monitor(tmp_path, **config) as client:
        client.headers.update(BEARER)
        added = client.post("/api/v1/webhooks", json={"url": receiver.url})
        assert added.status_code == 201, added.text
        run = Trainer(client)
        receiver.wait_for(1)
    assert receiver.messages[0]["run"]["path"] == f"/cusp/runs/{run.run_id}"
    ping = json.dumps({"run": None, "data": {}})
    assert outbox.addressed(ping, "/cusp") == ping
