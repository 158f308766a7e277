"""How the monitor listens."""

import asyncio
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from monitor.server import bound
from monitor.settings import MonitorConfig
from tests.serving import serving


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement() -> None:
    """40 ms for every request, measured, where TCP_NODELAY is missing on accepted connections."""
    listener = bound("127.0.0.1", 0)
    found: list[int] = []

    async def serve_one() -> None:
        done = asyncio.Event()

        def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            done.set()

        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            await done.wait()
            writer.close()
            await writer.wait_closed()

    asyncio.run(serve_one())
    assert found[0] != 0


def served(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start `cusp serve` on any free port with its data in the folder."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "cusp", "serve", "--port", "0", "--dir", str(folder)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_an_idle_connection_outlives_the_five_seconds_of_the_clients(tmp_path: Path) -> None:
    """httpx keeps one for 5 s: where the server does, too, now and then a request meets a reset."""
    with serving(MonitorConfig(database_url=f"sqlite:///{tmp_path / 'cusp.db'}")) as monitor:
        client = http.client.HTTPConnection(monitor.url.removeprefix("http://"), timeout=30)
        client.auto_open = 0
        client.connect()
        for idle_s in (5.5, 0):
            client.request("GET", "/healthz")
            answer = client.getresponse()
            assert (answer.status, answer.read() != b"") == (200, True)
            time.sleep(idle_s)
        client.close()


def test_the_address_is_said_once_requests_are_answered(tmp_path: Path) -> None:
    monitor = served(tmp_path)
    try:
        assert monitor.stdout is not None
        found = re.search(r"http://\S+", monitor.stdout.readline())
        assert found is not None
        assert httpx.get(f"{found[0]}/readyz").status_code == 200
    finally:
        monitor.kill()
        monitor.communicate()


def test_a_file_that_is_no_database_is_one_sentence_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "cusp.db"
    file.write_text("a text that somebody keeps under this name, longer than a header\n" * 20)
    before = file.read_bytes()
    monitor = served(tmp_path)
    said, _ = monitor.communicate(timeout=30)
    assert monitor.returncode == 2
    assert said == (
        f"cusp: {file} is no SQLite database; move it away, or choose another file with"
        " --database, --dir or CUSP_DATABASE_URL\n"
    )
    assert file.read_bytes() == before


def test_a_database_server_that_is_not_there_is_one_sentence_and_no_address(tmp_path: Path) -> None:
    monitor = served(tmp_path, CUSP_DATABASE_URL="postgresql://u@127.0.0.1:9/nobody")
    said, _ = monitor.communicate(timeout=30)
    assert monitor.returncode == 2
    assert said.startswith("cusp: the database cannot be opened: ")
    assert "http://" not in said
    assert "Traceback" not in said
