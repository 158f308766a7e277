"""The event streams: everything once, in order, from any cursor."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cusp.ids import new_id
from tests.conftest import MonitorProcess
from tests.messages import point

Json = dict[str, Any]


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> MonitorProcess:
    monitor_process.start()
    return monitor_process


class Sender:
    """Announces a run over HTTP and sends points."""

    def __init__(self, url: str, run_id: str | None = None) -> None:
        self.url, self.run_id, self.attempt_id, self.seq = url, run_id or new_id(), new_id(), 0
        start = {"run_id": self.run_id, "attempt_id": self.attempt_id, "name": "n"}
        httpx.post(f"{url}/api/v1/runs", json=start).raise_for_status()

    def send(self, *messages: Json) -> None:
        body = {"attempt_id": self.attempt_id, "first_seq": self.seq, "messages": messages}
        httpx.post(f"{self.url}/api/v1/runs/{self.run_id}/batches", json=body).raise_for_status()
        self.seq += len(messages)


def events(url: str, **options: Any) -> Iterator[tuple[str | None, str, Json]]:
    with httpx.stream("GET", url, timeout=10, **options) as answer:
        answer.raise_for_status()
        number, kind, text = None, "", ""
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = value
            elif field == "event":
                kind = value
            elif field == "data":
                text = value
            elif not line and text:  # an event ends with a blank line; its id may come last
                yield number, kind, json.loads(text)
                text = ""


def test_a_viewer_sees_every_point_once_and_in_order_over_reconnects(
    monitor: MonitorProcess,
) -> None:
    sender = Sender(monitor.url)
    url = f"{monitor.url}/api/v1/runs/{sender.run_id}/events"

    def feed() -> None:
        for step in range(1, 61):
            sender.send(point(step, format_reward=0.5, completion_length=50.0))
            time.sleep(0.01)

    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    seen: list[int] = []
    last: str | None = None
    while len(seen) < 60:
        headers = {"Last-Event-ID": last} if last else {}
        for number, kind, data in events(url, headers=headers):
            last = number or last
            if kind == "point":
                seen.append(data["step"])
            if len(seen) % 17 == 0 or len(seen) >= 60:
                break  # the connection is cut here
    feeding.join()
    assert seen == list(range(1, 61))


def test_the_stream_goes_on_where_the_page_was_rendered(monitor: MonitorProcess) -> None:
    sender = Sender(monitor.url)
    sender.send(point(1), point(2))
    cursor = monitor.get(f"/runs/{sender.run_id}")["cursor"]
    sender.send(point(3))
    url = f"{monitor.url}/api/v1/runs/{sender.run_id}/events?after={cursor}"
    points = (data["step"] for _, kind, data in events(url) if kind == "point")
    assert next(points) == 3


def test_a_resumed_attempt_rewinds_the_viewer(monitor: MonitorProcess) -> None:
    sender = Sender(monitor.url)
    sender.send(*[point(step, format_reward=0.5) for step in range(1, 20)])
    cursor = monitor.get(f"/runs/{sender.run_id}")["cursor"]
    resumed = Sender(monitor.url, sender.run_id)
    resumed.send(point(11, format_reward=0.9), point(12, format_reward=0.9))
    url = f"{monitor.url}/api/v1/runs/{sender.run_id}/events?after={cursor}"
    seen: list[tuple[str, int]] = []
    for _, kind, data in events(url):
        if "step" in data:
            seen.append((kind, data["step"]))
        if kind == "run" and ("verdict", 12) in seen:
            break
    assert seen.index(("rewind", 11)) < seen.index(("verdict", 12))
    assert ("point", 11) in seen


def test_the_table_hears_of_every_run_that_changes(monitor: MonitorProcess) -> None:
    sender = Sender(monitor.url)
    stream = events(f"{monitor.url}/api/v1/events")
    feeding = threading.Timer(0.5, sender.send, [point(7, format_reward=0.5)])
    feeding.start()
    _, kind, run = next(stream)
    feeding.join()
    stream.close()  # type: ignore[attr-defined]
    assert (kind, run["id"], run["step"]) == ("run", sender.run_id, 7)


def test_sigterm_with_open_streams_ends_at_once_without_an_error(
    monitor: MonitorProcess, tmp_path: Path
) -> None:
    sender = Sender(monitor.url)
    sender.send(point(1))
    opened = threading.Event()

    def watch() -> None:
        try:
            for _ in events(f"{monitor.url}/api/v1/runs/{sender.run_id}/events"):
                opened.set()
        except httpx.HTTPError:
            pass

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    assert opened.wait(5)
    started = time.monotonic()
    status = monitor.stop()
    took_s = time.monotonic() - started
    watching.join()
    assert status in (0, -15)
    assert took_s < 2
    assert "ERROR" not in (tmp_path / "monitor.log").read_text()


def test_an_unknown_run_has_no_stream(monitor: MonitorProcess) -> None:
    answer = httpx.get(f"{monitor.url}/api/v1/runs/{new_id()}/events")
    assert answer.status_code == 404
