"""What stands between a stranger and the monitor, one guard a test; `mutants.py` removes them one by one."""

import ast
import contextlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import cusp
from cusp.checkpoints import manifest, paths
from cusp.client import Client, ClientError
from cusp.ids import new_id
from cusp.settings import Settings
from monitor.actions import quotas
from monitor.api.middleware import audit, authentication
from monitor.app import create_app
from monitor.auth import grants, tokens
from monitor.settings import MonitorConfig, is_loopback
from tests.conftest import MonitorProcess
from tests.messages import Json, Trainer, checkpoint, point
from tests.serving import serving
from tests.waiting import wait_until
from webui import assets

KEY = "the-bootstrap-token-of-a-test"
BEARER = {"Authorization": f"Bearer {KEY}"}
PACKAGES = ("cusp", "monitor", "trainer", "webui", "migrations")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[TestClient]:
    config = MonitorConfig(str(tmp_path / "cusp.db"), token=KEY, body_limit_bytes=100_000)
    with TestClient(create_app(config), follow_redirects=False) as client:
        yield client


def made_token(client: TestClient, *scopes: str, **limits: str) -> Json:
    body = {"name": "t", "scopes": scopes, **limits}
    made: Json = client.post("/api/v1/tokens", json=body, headers=BEARER).json()
    return made


# --- headers -------------------------------------------------------------------------------------


def test_every_answer_carries_the_security_headers(guarded: TestClient) -> None:
    answers = [
        guarded.get("/healthz"),
        guarded.get("/login"),
        guarded.get("/api/v1/runs"),  # 401
        guarded.get("/api/v1/runs", headers=BEARER),
        guarded.get("/", headers={"Accept": "text/html"}),  # to /login
        guarded.get("/api/v1/nothing", headers=BEARER),
        guarded.post("/api/v1/runs", content=b"x" * 200_000, headers=BEARER),  # 413
        guarded.get("/static/css/base.css"),
        guarded.get(f"/static/{assets.PLOTLY}"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 303, 401, 404, 413}
    for answer in answers:
        found = answer.headers
        assert found["x-content-type-options"] == "nosniff"
        assert found["referrer-policy"] == "same-origin"
        assert found["cross-origin-opener-policy"] == "same-origin"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert found["content-security-policy"] == assets.CONTENT_SECURITY_POLICY
        if not answer.url.path.startswith("/static/"):
            assert found["cache-control"] == "no-store"


def test_the_policy_allows_our_files_and_nothing_else() -> None:
    parts = [part.split() for part in assets.CONTENT_SECURITY_POLICY.split(";")]
    assert {name: allowed for name, *allowed in parts} == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }


def test_what_was_set_aside_is_a_download_and_never_a_page(api: TestClient) -> None:
    trainer = Trainer(api)
    trainer.send({"kind": "<script>alert(1)</script>"})
    answer = api.get(f"/api/v1/runs/{trainer.run_id}/quarantine", headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["content-disposition"].startswith("attachment")


# --- browsers ------------------------------------------------------------------------------------


def logged_in(client: TestClient, token: str = KEY, base: str = "https://monitor.example") -> Any:
    browser = TestClient(client.app, base_url=base, follow_redirects=False)
    answer = browser.post("/login", data={"token": token})
    assert answer.status_code == 303
    return browser, answer.headers["set-cookie"].lower()


def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http(
    guarded: TestClient,
) -> None:
    _, cookie = logged_in(guarded)
    parts = {part.strip() for part in cookie.split(";")}
    assert {"httponly", "samesite=strict", "secure", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    # Without TLS `secure` would lock the owner out: the docs say to put TLS in front.
    assert "secure" not in logged_in(guarded, base="http://monitor.example")[1].split("; ")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://monitor.example.evil",
        "https://monitor.example:8443",
    ],
)
def test_a_page_of_another_site_cannot_act_with_the_browsers_cookie(
    guarded: TestClient, origin: str
) -> None:
    browser, _ = logged_in(guarded)
    made = {"name": "n", "scopes": ["admin"]}
    refused = browser.post("/api/v1/tokens", json=made, headers={"Origin": origin})
    assert refused.status_code == 403
    for method in ("PATCH", "DELETE", "PUT"):
        path = f"/api/v1/tokens/{new_id()}"
        assert browser.request(method, path, headers={"Origin": origin}).status_code == 403
    login = guarded.post("/login", data={"token": KEY}, headers={"Origin": origin})
    assert (login.status_code, "set-cookie" in login.headers) == (403, False)
    own = browser.post("/api/v1/tokens", json=made, headers={"Origin": "https://monitor.example"})
    assert own.status_code == 201


def test_a_cookie_made_for_one_token_cannot_be_turned_into_anothers(guarded: TestClient) -> None:
    reader, admin = made_token(guarded, "read"), made_token(guarded, "admin")
    browser, _ = logged_in(guarded, reader["token"], "http://monitor.example")
    (name,) = browser.cookies
    assert browser.get("/api/v1/runs").status_code == 200
    token_id, _, rest = browser.cookies[name].partition(".")
    assert token_id == reader["id"]
    session_id, _, signature = rest.partition(".")
    _, at = signature.split(".")[::-1]
    for forgery in (
        f".{rest}",
        f"{admin['id']}.{rest}",
        f"{token_id}.another.{signature}",
        f"{token_id}.{session_id}.{at}z.{signature.partition('.')[2]}",
    ):
        forged = TestClient(guarded.app, cookies={name: forgery})
        assert forged.get("/api/v1/runs").status_code == 401, forgery


def test_nothing_secret_is_taken_from_an_address(guarded: TestClient) -> None:
    """Addresses end in logs, histories and Referer; a token there must not even work."""
    for query in (f"token={KEY}", f"access_token={KEY}", f"authorization=Bearer%20{KEY}"):
        assert guarded.get(f"/api/v1/runs?{query}").status_code == 401
        assert guarded.post(f"/login?{query}").status_code == 403


# --- tokens --------------------------------------------------------------------------------------


def test_every_secret_is_compared_in_constant_time(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be measured over a network is held here: each comparison is hmac's."""
    made = made_token(guarded, "read")
    browser, _ = logged_in(guarded, made["token"])
    compared: list[tuple[bytes, bytes]] = []
    real: Callable[[bytes, bytes], bool] = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr("monitor.auth.grants.hmac.compare_digest", compare)
    wrong = made["token"][:-4] + "wxyz"
    unknown = grants.format_token(new_id(), "secret")
    cost = {}
    for given in (KEY, made["token"], wrong, unknown, "short"):
        before = len(compared)
        guarded.get("/api/v1/runs", headers={"Authorization": f"Bearer {given}"})
        cost[given] = len(compared) - before
    assert min(cost.values()) >= 1
    assert cost[unknown] == cost[wrong] > cost["short"]  # nothing tells that an id exists
    before = len(compared)
    assert browser.get("/api/v1/runs").status_code == 200
    assert len(compared) > before


def test_a_tokens_secret_cannot_be_made_by_who_knows_its_request() -> None:
    """It is made again for a repeat, from what only the monitor's owner knows; nobody else can."""
    secrets = []
    for key in (KEY, KEY + "2"):
        made = grants.derive_secret(key, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "the same request")
        assert len(made) == 43
        secrets.append(made)
    assert secrets[0] != secrets[1]
    assert grants.derive_secret(KEY, "01ARZ3NDEKTSV4RRFFQ69G5FAW", "the same request") != secrets[0]
    assert grants.derive_secret(KEY, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "another request") != secrets[0]


def test_a_revoked_token_is_good_for_seconds_elsewhere_and_no_longer() -> None:
    assert tokens.REMEMBERED_S <= 5


def test_made_up_tokens_cost_bounded_memory(guarded: TestClient) -> None:
    app: Any = guarded.app
    checked: tokens.Tokens = app.state.service.tokens
    for _ in range(tokens.MOST_REMEMBERED + 50):
        checked._row(new_id())
    assert len(checked._known) == tokens.MOST_REMEMBERED


def test_guessing_by_header_is_slowed_down_by_address(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(authentication, "STRANGERS_PER_S", 0.01)  # however slow this machine asks
    guarded: TestClient = request.getfixturevalue("guarded")
    made = made_token(guarded, "read")
    good = {"Authorization": f"Bearer {made['token']}"}
    assert guarded.get("/api/v1/runs", headers=good).status_code == 200
    statuses = []
    for _ in range(260):
        guess = {"Authorization": f"Bearer {grants.format_token(new_id(), 'guess')}"}
        statuses.append(guarded.get("/api/v1/runs", headers=guess).status_code)
    assert statuses[0] == 401
    assert 429 in statuses
    assert (
        guarded.get("/api/v1/runs", headers=good).status_code == 200
    )  # its owner is not held back


def test_a_stream_ends_with_its_token_and_shows_a_limited_one_only_its_runs(
    database_url: str,
) -> None:
    with contextlib.ExitStack() as stack:
        monitor = stack.enter_context(serving(MonitorConfig(database_url, token=KEY)))
        admin = stack.enter_context(httpx.Client(base_url=monitor.url, headers=BEARER, timeout=20))
        own, other = Trainer(admin, project="a"), Trainer(admin, project="b")  # type: ignore[arg-type]
        body = {"name": "n", "scopes": ["read"], "project": "a"}
        made = admin.post("/api/v1/tokens", json=body).json()
        holder = {"Authorization": f"Bearer {made['token']}"}
        url = f"{monitor.url}/api/v1"
        assert httpx.get(f"{url}/runs/{other.run_id}/events", headers=holder).status_code == 403
        seen: list[str] = []
        ended = threading.Event()
        watching = threading.Thread(
            target=watch, args=(f"{url}/events", holder, seen, ended), daemon=True
        )
        watching.start()
        until = time.monotonic() + 10
        while not any(own.run_id in line for line in seen):
            other.send(point(other.seq + 1))
            own.send(point(own.seq + 1))
            assert time.monotonic() < until
            time.sleep(0.3)
        other.send(point(other.seq + 1))
        time.sleep(1.0)  # changes come together, in any order
        assert not any(other.run_id in line for line in seen)
        admin.delete(f"/api/v1/tokens/{made['id']}")
        while not ended.is_set():
            own.send(point(own.seq + 1))
            assert time.monotonic() < until + 10
            time.sleep(0.3)
        watching.join(5)


def watch(url: str, headers: dict[str, str], seen: list[str], ended: threading.Event) -> None:
    """Collect the lines of a stream until it ends."""
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        seen.extend([""])
        for line in answer.iter_lines():
            seen.append(line)
    ended.set()


# --- limits --------------------------------------------------------------------------------------


def test_a_body_is_limited_by_what_arrives_whatever_its_head_says(guarded: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    path = "/api/v1/runs"
    assert guarded.post(path, content=parts(), headers=BEARER).status_code == 413  # chunked
    assert guarded.post(path, content=b" " * 100_001, headers=BEARER).status_code == 413
    lying = {**BEARER, "Content-Length": "10"}
    assert guarded.post(path, content=b" " * 100_001, headers=lying).status_code == 413
    assert guarded.post(path, content=b" " * 100_000, headers=BEARER).status_code == 422
    deleted = guarded.request("DELETE", "/api/v1/tokens/x", content=parts(), headers=BEARER)
    assert deleted.status_code == 413
    assert guarded.post("/login", content=parts()).status_code == 413


def test_a_stranger_is_refused_before_his_body_is_read(guarded: TestClient) -> None:
    read: list[int] = []

    def parts() -> Iterator[bytes]:
        read.append(1)
        yield b" " * 200_000

    assert guarded.post("/api/v1/runs", content=parts()).status_code == 401


def test_each_kind_of_thing_in_a_run_is_bounded_and_the_rest_is_stored(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quotas.OF_A_RUN.keys() == {"samples", "checkpoints", "boundaries"}
    monkeypatch.setattr(quotas, "OF_A_RUN", dict.fromkeys(quotas.OF_A_RUN, 2))
    trainer = Trainer(api)
    sample = {"kind": "sample", "step": 1, "prompt": "p", "completion": "c"}
    for message in (sample, {"kind": "boundary"}):
        trainer.send(*({**message, "step": step} for step in (1, 2, 3)))
        trainer.send({**message, "step": 4})
    trainer.send(*(checkpoint(step) for step in (1, 2, 3)), point(7, a=1.0))
    assert len(trainer.get("/samples")["samples"]) == 2
    assert [c["step"] for c in trainer.get("/checkpoints")["checkpoints"]] == [1, 2]
    assert trainer.get()["quarantined"] == 5
    assert trainer.series("a") == ([7], [1.0])
    known = trainer.get("/checkpoints")["checkpoints"][0]["id"]
    trainer.send(checkpoint(1, known, "pinned"))  # another word on one that is there needs no room
    assert trainer.get("/checkpoints")["checkpoints"][0]["pinned"]


def test_refused_requests_do_not_fill_the_audit_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "REFUSED_BURST", 5.0)
    app = create_app(MonitorConfig(str(tmp_path / "cusp.db"), token=KEY))
    with TestClient(app) as client:
        for _ in range(40):
            client.post("/api/v1/tokens")
        rows = client.get("/api/v1/audit?requests=true", headers=BEARER).json()["audit"]
        assert 5 <= len(rows) <= 8


# --- what is said --------------------------------------------------------------------------------


def test_a_defect_is_answered_without_what_happened(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.store import run_list

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("postgresql://cusp:hunter2@db/cusp")

    monkeypatch.setattr(run_list, "page", fail)
    client = TestClient(guarded.app, raise_server_exceptions=False)
    answer = client.get("/api/v1/runs", headers=BEARER)
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "log" in answer.text


def test_what_was_sent_is_not_sent_back_in_an_error(guarded: TestClient) -> None:
    body = {"name": "n", "scopes": ["read"], "secret": "hunter2", "project": ["hunter2"]}
    answer = guarded.post("/api/v1/tokens", json=body, headers=BEARER)
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_no_token_is_in_a_log_or_in_the_database(monitor_process: MonitorProcess) -> None:
    monitor = monitor_process
    monitor.token = KEY
    monitor.start()
    with httpx.Client(base_url=monitor.url, headers=BEARER) as client:
        made = client.post("/api/v1/tokens", json={"name": "n", "scopes": ["read"]}).json()
        wrong = "a-wrong-token-that-may-be-nearly-right"
        given = httpx.post(f"{monitor.url}/login", data={"token": made["token"]}).cookies
        ((name, cookie),) = given.items()
        httpx.get(f"{monitor.url}/api/v1/runs", headers={"Authorization": f"Bearer {wrong}"})
        httpx.post(f"{monitor.url}/login", data={"token": wrong})
        httpx.get(f"{monitor.url}/", cookies={name: cookie})
        httpx.get(f"{monitor.url}/api/v1/nothing?x=1", headers=BEARER)
    monitor.stop()
    parts = grants.split(made["token"])
    assert parts is not None
    secrets = [KEY, parts[1], wrong, cookie.partition(".")[2], cookie.rpartition(".")[2]]
    for file in monitor.folder.iterdir():
        if file.is_file():
            content = file.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], file


def test_the_client_says_its_token_to_no_log(
    guarded: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CUSP_TOKEN", KEY)
    with caplog.at_level(logging.DEBUG):
        run = cusp.init(
            "p", "n", config={"hub_token": "hunter2", "nested": [{"api_key": "hunter2"}]}
        )
        run.log({"reward": 1.0}, 1)
        run.finish(drain_s=0.5)
    assert "cannot reach" in caplog.text
    assert KEY not in caplog.text
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
            assert b"hunter2" not in file.read_bytes(), file


# --- what a client follows -----------------------------------------------------------------------


class Elsewhere(BaseHTTPRequestHandler):
    """Sends every request on to another address, and notes what came."""

    def answer(self) -> None:
        seen: list[Any] = self.server.seen  # type: ignore[attr-defined]
        seen.append((self.path, self.headers.get("Authorization")))
        to = self.server.to  # type: ignore[attr-defined]
        self.send_response(307 if to else 200)
        if to:
            self.send_header("Location", to + self.path)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        pass


def listening(to: str | None) -> Any:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.seen, server.to = [], to
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    return server


def by_client(url: str) -> None:
    with Client(Settings(url=url, token=KEY)) as client, pytest.raises(ClientError):
        client.post("/runs/x/stop")


def by_run(url: str) -> None:
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    assert run.finish(drain_s=1.0) is False


def by_worker(url: str) -> None:
    from trainer.jobs.client import MonitorClient

    stopping = threading.Event()
    client = MonitorClient(url, KEY, stopping)
    threading.Timer(1.0, stopping.set).start()
    assert client.claim("w", ["train"], []) is None  # asked again, as in an outage, until it stops
    client.close()


@pytest.mark.parametrize("ask", [by_client, by_run, by_worker])
def test_a_token_follows_no_redirect_and_no_proxy(
    ask: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = listening(None)
    first = listening(target.url)
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_URL", first.url)
    monkeypatch.setenv("CUSP_TOKEN", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, target.url)
    try:
        ask(first.url)
    finally:
        for server in (first, target):
            server.shutdown()
            server.server_close()
    assert first.seen
    assert {token for _, token in first.seen} == {f"Bearer {KEY}"}
    assert target.seen == []


# --- where it listens ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.168.0.1", False),
        ("2130706433", False),
    ],
)
def test_only_this_machine_is_this_machine(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


# --- what is never done --------------------------------------------------------------------------

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load", "yaml.unsafe_load"}


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def broken_rules(tree: ast.AST) -> Iterator[str]:
    """Yield what a module does that none of ours may."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from (n for n in names if n.partition(".")[0] in FORBIDDEN_MODULES)
        if isinstance(node, ast.Call):
            if called(node) in FORBIDDEN_CALLS:
                yield called(node)
            for keyword in node.keywords:
                said = f"{keyword.arg}={ast.unparse(keyword.value)}"
                if said in (
                    "shell=True",
                    "trust_remote_code=True",
                    "verify=False",
                    "weights_only=False",
                    "typ='unsafe'",
                ):
                    yield said
            if called(node).endswith(".from_pretrained"):
                told = {keyword.arg for keyword in node.keywords}
                text = any(kind in called(node) for kind in ("Tokenizer", "Config"))  # JSON
                if not text and "use_safetensors" not in told:
                    yield f"{called(node)} without use_safetensors"


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_unpickles_evaluates_or_trusts_code_of_others(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        assert list(broken_rules(ast.parse(file.read_text()))) == [], file


# --- files ---------------------------------------------------------------------------------------


def saved(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    manifest.write_manifest(folder, 1)
    return folder


def test_a_checkpoint_of_another_run_is_not_reached_by_a_way_up(tmp_path: Path) -> None:
    root, other = tmp_path / "own", tmp_path / "other"
    saved(root / "checkpoint-1")
    saved(other / "checkpoint-1")
    assert paths.resolve(root, "checkpoint-1") == root / "checkpoint-1"
    for way in ("../other/checkpoint-1", "checkpoint-1/../../other/checkpoint-1"):
        with pytest.raises(manifest.CheckpointError, match="below the run's root"):
            paths.resolve(root, way)


def test_a_file_that_is_a_link_is_none_of_the_checkpoints_even_with_the_right_content(
    tmp_path: Path,
) -> None:
    path = saved(tmp_path / "checkpoint-1")
    outside = tmp_path / "outside"
    (path / "adapter_model.safetensors").rename(outside)
    (path / "adapter_model.safetensors").symlink_to(outside)
    with pytest.raises(manifest.CheckpointError, match="is missing"):
        manifest.verify(path)


# --- behind a proxy ------------------------------------------------------------------------------


def test_a_proxy_on_this_machine_says_who_asked_and_that_it_was_by_https(
    monitor_process: MonitorProcess,
) -> None:
    """As docs/explanation/security.md tells how to set it up."""
    monitor_process.token = KEY
    monitor_process.start()
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Host": "m.example"}
    with httpx.Client(base_url=monitor_process.url, headers=forwarded) as client:
        answer = client.post("/login", data={"token": KEY}, headers={"Origin": "https://m.example"})
        assert answer.status_code == 303
        assert "secure" in answer.headers["set-cookie"].lower().split("; ")

        def said() -> list[str]:
            rows = client.get("/api/v1/audit?requests=true", headers=BEARER).json()["audit"]
            return [row["detail"]["from"] for row in rows]

        wait_until(lambda: "192.0.2.7" in said(), 10)  # written behind the answer
        assert set(said()) == {"192.0.2.7"}
