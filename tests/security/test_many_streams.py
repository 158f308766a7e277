"""A monitor that is told to end with hundreds of viewers ends at once: no error, no viewer left hanging."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import MonitorProcess
from tests.messages import Trainer, point

VIEWERS = 200
KEY = "the-bootstrap-token-of-a-test"


@pytest.fixture
def monitor(tmp_path: Path, database_url: str) -> MonitorProcess:
    from cusp.cli.demo.processes import free_port

    url = database_url if "://" in database_url else None
    return MonitorProcess(tmp_path, free_port(0), token=KEY, database_url=url)


async def view(port: int, path: str, opened: asyncio.Semaphore) -> float:
    """Read a stream to its end; return when that was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    writer.write(head.encode())
    assert b" 200 " in await reader.readline()
    opened.release()
    while await reader.read(65_536):
        pass
    writer.close()
    return time.monotonic()


async def viewed(monitor: MonitorProcess, run_id: str) -> tuple[float, int, list[float]]:
    """Open the streams, end the monitor; return how long it took, its status, when viewers were let go."""
    opened = asyncio.Semaphore(0)
    shared = f"/api/v1/events/shared?run={run_id}:0&table=true"
    paths = [f"/api/v1/runs/{run_id}/events", "/api/v1/events", shared]
    viewers = [
        asyncio.create_task(view(monitor.port, paths[number % 3], opened))
        for number in range(VIEWERS)
    ]
    for _ in viewers:
        await asyncio.wait_for(opened.acquire(), 30)
    began = time.monotonic()
    status = await asyncio.to_thread(monitor.stop)
    took_s = time.monotonic() - began
    ended = await asyncio.wait_for(asyncio.gather(*viewers), 10)
    return took_s, status, [at - began for at in ended]


def test_sigterm_with_two_hundred_viewers_soon_ends_without_an_error(
    monitor: MonitorProcess,
) -> None:
    monitor.start()
    began = time.monotonic()
    monitor.stop()
    alone_s = time.monotonic() - began  # without a viewer: tells how busy the machine is
    most_s = 2 + 4 * alone_s
    monitor.start()
    try:
        bearer = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=monitor.url, headers=bearer) as client:
            trainer = Trainer(client)  # type: ignore[arg-type]  # asks alike
            trainer.send(*(point(step) for step in range(100)))
        took_s, status, ended_s = asyncio.run(viewed(monitor, trainer.run_id))
    finally:
        if monitor.process is not None and monitor.process.poll() is None:
            monitor.kill()
    assert status in (0, -15)
    assert took_s < most_s, took_s
    assert max(ended_s) < most_s
    log = (monitor.folder / "monitor.log").read_text()
    assert "ERROR" not in log, log
    assert "Traceback" not in log, log
