"""A monitor that says when to ask again (429, 503 with Retry-After): the sender asks then, and not before."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

import cusp
from cusp.process.file_lock import is_locked
from monitor.settings import MonitorConfig
from tests.serving import serving

KEY = "the-bootstrap-token-of-a-test"


class Busy(ThreadingHTTPServer):
    """Takes everything, but answers the requests from the second on as often as it is told to wait."""

    def __init__(self, status: int, refusals: int, retry_after: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.refusals, self.retry_after = status, refusals, retry_after
        self.asked_at: list[float] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Busy

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked_at.append(time.monotonic())
        if 1 < len(self.server.asked_at) <= 1 + self.server.refusals:
            self.send_response(self.server.status)
            self.send_header("Retry-After", self.server.retry_after)
            answer = b"{}"
        else:
            self.send_response(200)
            taken = body.get("first_seq", 0) + len(body.get("messages", []))
            answer = json.dumps({"next_seq": taken, "commands": []}).encode()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def busy(request: pytest.FixtureRequest) -> Iterator[Busy]:
    server = Busy(*request.param)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))


def waited_s(server: Busy, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return how long a training that logs all the time waited after the first refusal."""
    monkeypatch.setenv("CUSP_URL", server.url)
    run = cusp.init("p", "n")
    for step in range(20):
        run.log({"reward": 1.0}, step)
        time.sleep(0.01)
    assert run.finish(drain_s=15)
    return server.asked_at[2] - server.asked_at[1]


@pytest.mark.parametrize("busy", [(429, 1, "2"), (503, 1, "2")], indirect=True)
def test_the_sender_waits_as_long_as_it_was_asked_to(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2.0 <= waited_s(busy, monkeypatch) < 4.0


@pytest.mark.parametrize(
    "busy", [(429, 1, "soon"), (503, 1, "-5"), (429, 1, "1e3"), (500, 1, "30")], indirect=True
)
def test_a_word_that_means_nothing_is_ignored(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited_s(busy, monkeypatch) < 1.5


@pytest.mark.parametrize("busy", [(503, 1_000, "86400")], indirect=True)
def test_being_asked_to_wait_holds_up_neither_the_training_nor_its_end(
    busy: Busy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUSP_URL", busy.url)
    run = cusp.init("p", "n")
    while len(busy.asked_at) < 2:
        time.sleep(0.01)
    time.sleep(0.1)
    began = time.monotonic()
    run.log({"reward": 1.0}, 1)
    assert run.finish(drain_s=0.5) is False
    assert time.monotonic() - began < 2.0
    assert len(busy.asked_at) == 2
    (spool,) = tmp_path.glob("runs/*/attempts/*/spool-*.jsonl")
    assert '"reward":1.0' in spool.read_text()


def test_a_training_that_meets_the_rate_limit_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real limit of a real monitor: a burst of 5 requests, then one a second."""
    config = MonitorConfig(str(tmp_path / "cusp.db"), token=KEY, rate_per_s=1.0)
    with serving(config) as monitor:
        monkeypatch.setenv("CUSP_URL", monitor.url)
        monkeypatch.setenv("CUSP_TOKEN", KEY)
        run = cusp.init("p", "n")
        for step in range(40):
            run.log({"reward": 1.0}, step)
            time.sleep(0.05)
        assert run.finish(drain_s=20)
        time.sleep(1.1)
        found = httpx.get(
            f"{monitor.url}/api/v1/runs/{run.id}/series",
            headers={"Authorization": f"Bearer {KEY}"},
        ).json()["series"]
        assert found[0]["steps"] == list(range(40))


def test_sync_gives_the_spool_back_once_it_was_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from cusp.cli.app import app

    monkeypatch.setenv("CUSP_MODE", "offline")
    for name in ("one", "two"):
        run = cusp.init("p", name)
        run.log({"reward": 1.0}, 1)
        run.finish()
    with serving(MonitorConfig(str(tmp_path / "cusp.db"))) as monitor:
        monkeypatch.setenv("CUSP_URL", monitor.url)
        result = CliRunner().invoke(app, ["sync"])
    assert result.exit_code == 0, result.output
    locks = list(tmp_path.glob("runs/*/attempts/*/lock"))
    assert len(locks) == 2
    assert not any(is_locked(lock) for lock in locks)
