"""A PostgreSQL that goes away, or is there and says nothing: deadlines, /readyz, and coming back."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from cusp.cli.demo.processes import free_port
from monitor.database import deadline
from monitor.database.engine import Database
from tests.conftest import MonitorProcess
from tests.messages import Trainer, point


class Line:
    """A TCP line to the tests' PostgreSQL, which can be frozen (open, silent) or cut."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        folder = parse_qs(parts.query)["host"][0]
        self._target = f"{unquote(folder)}/.s.PGSQL.{parts.port or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"postgresql://{parts.username}:@127.0.0.1:{self.port}{parts.path}"
        self.flowing = threading.Event()
        self.flowing.set()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Nothing comes through any more; connections stay, new ones are taken and left alone."""
        self.flowing.clear()

    def thaw(self) -> None:
        self.flowing.set()

    def cut(self) -> None:
        """Every connection ends, and nobody listens any more."""
        for one in (self._listener, *self._open):
            _end(one)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65_536):
                self.flowing.wait()
                other.sendall(data)
        except OSError:
            pass
        _end(one)
        _end(other)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who reads from it
    one.close()


@pytest.fixture
def line(postgres_database: str) -> Iterator[Line]:
    made = Line(postgres_database)
    yield made
    made.thaw()
    made.cut()


def ask_while_frozen(line: Line, database: Database) -> None:
    with database.read() as tx:
        line.freeze()
        tx.execute(text("SELECT 2"))


def test_a_transaction_on_a_silent_database_ends_by_its_own_deadline(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline.keep, "__defaults__", (1.0, 0.5))
    database = Database(line.url)
    with database.read() as tx:
        assert tx.execute(text("SELECT 1")).scalar_one() == 1
    started = time.monotonic()
    with pytest.raises(OperationalError):
        ask_while_frozen(line, database)
    assert time.monotonic() - started < 3
    line.thaw()
    with database.read() as tx:
        assert tx.execute(text("SELECT 3")).scalar_one() == 3
    database.close()


def test_a_pooled_connection_gone_silent_is_found_out_before_it_is_used(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline.keep, "__defaults__", (30.0, 0.5))
    database = Database(line.url)
    with database.read() as tx:
        tx.execute(text("SELECT 1"))
    line.freeze()
    threading.Timer(1.5, line.thaw).start()
    started = time.monotonic()
    with database.read() as tx:  # the first is given up, a new connection waits for the thaw
        assert tx.execute(text("SELECT 2")).scalar_one() == 2
    assert time.monotonic() - started < 5
    database.close()


def test_readyz_tells_of_a_silent_database_within_seconds_and_of_its_return(
    line: Line, tmp_path: Path
) -> None:
    monitor = MonitorProcess(tmp_path, free_port(0), database_url=line.url)
    monitor.start()
    try:
        line.freeze()
        started = time.monotonic()
        answer = httpx.get(f"{monitor.url}/readyz", timeout=10)
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert "has not answered within 3 s" in answer.json()["detail"]
        assert time.monotonic() - started < 5
        assert httpx.get(f"{monitor.url}/healthz", timeout=2).status_code == 200
        line.thaw()
        until = time.monotonic() + 20
        while httpx.get(f"{monitor.url}/readyz", timeout=10).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.2)
    finally:
        monitor.kill()


def test_a_database_that_has_gone_is_503_with_the_way_out_and_never_500(
    line: Line, tmp_path: Path
) -> None:
    monitor = MonitorProcess(tmp_path, free_port(0), database_url=line.url)
    monitor.start()
    try:
        with httpx.Client(base_url=monitor.url) as client:
            trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
            trainer.send(point(1))
            line.cut()
            batch = {"attempt_id": trainer.attempt_id, "first_seq": 1, "messages": [point(2)]}
            path = f"/api/v1/runs/{trainer.run_id}"
            for _ in range(3):
                answers = [client.get(path), client.post(f"{path}/batches", json=batch)]
                for answer in answers:
                    assert answer.status_code == 503
                    assert answer.headers["Retry-After"] == "1"
                    assert "the database does not answer; try again" in answer.text
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
            assert client.get("/healthz").status_code == 200
    finally:
        assert monitor.stop() in (0, -signal.SIGTERM)
