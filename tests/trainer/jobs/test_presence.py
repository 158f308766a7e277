"""A worker says that it is there again and again, whatever the monitor answered before."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cusp.process.alive import is_alive
from cusp.process.machine import host_name
from tests.in_thread import ServedInThread
from tests.waiting import wait_until
from trainer.jobs import presence
from trainer.jobs.client import MonitorClient
from trainer.jobs.presence import Presence

ANSWERS = (404, 403, 200, 404, 200)


class Heard(ServedInThread):
    """A monitor that answers with ANSWERS, the last one for ever, and counts the questions."""

    def __init__(self) -> None:
        self.questions = 0
        heard = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status = ANSWERS[min(heard.questions, len(ANSWERS) - 1)]
                heard.questions += 1
                text = json.dumps({"detail": f"as the test wants {status}"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Not in the test's output."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._serve(server)


@pytest.fixture
def heard() -> Iterator[Heard]:
    with Heard() as heard:
        yield heard


@contextmanager
def speaking(heard: Heard, folder: Path, said: list[str]) -> Iterator[None]:
    """Run the worker's presence with its data in a folder."""
    stopping = threading.Event()
    client = MonitorClient(heard.url, None, stopping)
    here = Presence(client, folder, f"{host_name() or 'box'}-1", stopping, said.append)
    here.start()
    try:
        yield
    finally:
        stopping.set()
        here.close()
        client.close()


def test_a_refusal_is_said_once_and_does_not_end_it(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "EVERY_S", 0.02)
    said: list[str] = []
    with speaking(heard, tmp_path, said):
        wait_until(lambda: heard.questions >= 2, 10)
        assert is_alive(tmp_path), "the monitor answers, so the worker's container is healthy"
        wait_until(lambda: heard.questions >= 8, 10)
    assert ["404" in said[0], "403" in said[1], "404" in said[2]] == [True, True, True]
    assert len(said) == 3


def test_a_full_disk_is_said_once_and_does_not_end_it(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "EVERY_S", 0.02)
    (tmp_path / "workers").write_text("no folder")  # the mark cannot be written
    said: list[str] = []
    with speaking(heard, tmp_path, said):
        wait_until(lambda: heard.questions >= 8, 10)
        (tmp_path / "workers").unlink()
        wait_until(lambda: is_alive(tmp_path), 10)
    assert len([line for line in said if str(tmp_path / "workers") in line]) == 1
