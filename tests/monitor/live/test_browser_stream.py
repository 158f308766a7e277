"""The stream that all tabs of a browser share: several runs and the table, each from its cursor."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cusp.ids import new_id
from monitor.database import installation
from monitor.database.engine import Database
from monitor.live import browser_stream
from monitor.settings import MonitorConfig
from tests.messages import Trainer, point, status
from tests.serving import Served, serving
from tests.waiting import wait_until

Json = dict[str, Any]
TOKEN = "a-token-of-the-test-0123456789"


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    with serving(MonitorConfig(database_url)) as it:
        yield it


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=20) as it:
        yield it


class Heard:
    """What a stream has sent so far, as (run or None for the table, kind, data, cursor)."""

    def __init__(self) -> None:
        self.events: list[tuple[str | None, str, Json, int | None]] = []
        self.status = 0
        self.ended = False

    def of(self, kind: str, run: str | None = None) -> list[Json]:
        return [data for of, name, data, _ in self.events if name == kind and run in (None, of)]

    def steps(self, run: str) -> list[int]:
        return [data["step"] for data in self.of("point", run)]


@contextmanager
def following(served: Served, query: Json, headers: Json | None = None) -> Iterator[Heard]:
    """Read the stream in a thread until the end of the block."""
    heard = Heard()
    http = httpx.Client(base_url=served.url, timeout=20, headers=headers)

    def read() -> None:
        with (
            suppress(httpx.HTTPError, RuntimeError, OSError),  # it is closed under the reader
            http.stream("GET", "/api/v1/events/shared", params=query) as answer,
        ):
            heard.status = answer.status_code
            if answer.status_code == 200:
                take(answer.iter_lines(), heard)
        heard.ended = True

    threading.Thread(target=read, daemon=True).start()
    wait_until(lambda: heard.of("monitor") or heard.ended, 20)
    try:
        yield heard
    finally:
        http.close()  # the thread ends with the next bytes, or with the monitor


def take(lines: Iterator[str], heard: Heard) -> None:
    run, kind, data, cursor = None, "", None, None
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            data = json.loads(value)
        elif field == "id":
            cursor = int(value)
        elif not line and data is not None:
            if kind == "of":
                run = data["run"]
            else:
                heard.events.append((data.get("run", run), kind, data, cursor))
            kind, data, cursor = "", None, None


def place(trainer: Trainer, cursor: int = 0) -> str:
    return f"{trainer.run_id}:{cursor}"


def test_every_run_comes_once_and_in_order_from_its_own_cursor(
    served: Served, client: httpx.Client
) -> None:
    trainers = [Trainer(client) for _ in range(12)]  # type: ignore[arg-type]  # asks alike
    for trainer in trainers:
        trainer.send(*(point(step) for step in (1, 2, 3)))
    cursors = [trainer.get()["cursor"] for trainer in trainers]
    asked = [
        place(t, cursor if n % 2 else 0)
        for n, (t, cursor) in enumerate(zip(trainers, cursors, strict=True))
    ]
    with following(served, {"run": asked, "table": "true"}) as heard:
        for step in (4, 5, 6):
            for trainer in trainers:
                trainer.send(point(step))
        for number, trainer in enumerate(trainers):
            expected = [4, 5, 6] if number % 2 else [1, 2, 3, 4, 5, 6]
            wait_until(lambda t=trainer, e=expected: heard.steps(t.run_id) == e, 20)  # type: ignore[misc]
        wait_until(lambda: len({run["id"] for run in heard.of("run")}) == 12, 20)


def test_it_begins_with_the_database_the_process_and_the_monitors_time(
    served: Served, client: httpx.Client
) -> None:
    served.ahead_s = 3_600.0
    with following(served, {"table": "true"}) as heard:
        (first,) = heard.of("monitor")
    with following(served, {"table": "true"}) as heard:
        (second,) = heard.of("monitor")
    assert first["database"] == second["database"] != ""
    assert first["process"] == second["process"] != ""
    assert abs(first["now"] / 1000 - time.time() - 3_600) < 30


def test_each_database_has_an_id_of_its_own(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        database = Database(str(tmp_path / f"{name}.db"))
        database.upgrade()
        with database.read() as tx:
            found.append(installation.database_id(tx))
        database.close()
    assert found[0] != found[1]


def test_a_cursor_ahead_of_the_feed_is_reset_and_what_comes_then_is_sent(
    served: Served, client: httpx.Client
) -> None:
    """A backup was restored under an open page: it waited for cursors that come much later."""
    trainer = Trainer(client)  # type: ignore[arg-type]
    trainer.send(point(1))
    head = trainer.get()["cursor"]
    with following(served, {"run": place(trainer, head + 1_000)}) as heard:
        assert heard.of("reset") == [{"run": trainer.run_id, "cursor": head}]
        trainer.send(point(2))
        wait_until(lambda: heard.steps(trainer.run_id) == [2], 20)


def test_the_stream_of_one_run_resets_such_a_cursor_as_well(
    served: Served, client: httpx.Client
) -> None:
    trainer = Trainer(client)  # type: ignore[arg-type]
    trainer.send(point(1))
    head = trainer.get()["cursor"]
    path = f"/api/v1/runs/{trainer.run_id}/events"
    with client.stream("GET", path, headers={"Last-Event-ID": str(head + 9)}) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: reset"
        trainer.send(point(2))
        assert next(line for line in lines if line.startswith("event")) == "event: point"


def test_what_is_not_there_is_said_and_the_others_go_on(
    served: Served, client: httpx.Client
) -> None:
    trainer, gone = Trainer(client), new_id()  # type: ignore[arg-type]
    with following(served, {"run": [place(trainer), f"{gone}:0"]}) as heard:
        assert heard.of("gone") == [{"run": gone, "detail": f"there is no run '{gone}' here"}]
        trainer.send(point(1))
        wait_until(lambda: heard.steps(trainer.run_id) == [1], 20)


def test_a_purged_run_ends_the_stream_and_the_next_one_says_why(
    served: Served, client: httpx.Client
) -> None:
    trainer = Trainer(client, policy={"evaluate": "none"})  # type: ignore[arg-type]
    trainer.send(point(1), status("finished"))
    with following(served, {"run": place(trainer)}) as heard:
        assert client.delete(f"/api/v1/runs/{trainer.run_id}").status_code == 200
        wait_until(lambda: any(run["deleted_at"] for run in heard.of("run")), 20)
        assert client.post(f"/api/v1/runs/{trainer.run_id}/purge").status_code == 202
        wait_until(lambda: heard.ended, 20)
    with following(served, {"run": place(trainer)}) as heard:
        (gone,) = heard.of("gone")
        assert "was purged by" in gone["detail"]


def test_a_token_of_one_run_follows_that_alone(database_url: str) -> None:
    with (
        serving(MonitorConfig(database_url, token=TOKEN)) as served,
        httpx.Client(
            base_url=served.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20
        ) as client,
    ):
        own, other = Trainer(client), Trainer(client)  # type: ignore[arg-type]
        asked = {"name": "viewer", "scopes": ["read"], "run_id": own.run_id}
        token = client.post("/api/v1/tokens", json=asked).json()["token"]
        query = {"run": [place(own), place(other)], "table": "true"}
        with following(served, query, {"Authorization": f"Bearer {token}"}) as heard:
            (gone,) = heard.of("gone")
            assert gone["run"] == other.run_id
            assert "limited to run" in gone["detail"]
            for trainer in (other, own):
                trainer.send(point(1))
            wait_until(lambda: heard.steps(own.run_id) == [1], 20)
            wait_until(lambda: heard.of("run"), 20)
            assert other.run_id not in {run["id"] for run in heard.of("run")}
        with following(served, query, {"Authorization": "Bearer no"}) as heard:
            assert heard.status == 401


@pytest.mark.parametrize(
    "query",
    [{"run": "x:1"}, {"run": "01ARZ3NDEKTSV4RRFFQ69G5FAV:-1"}, {"run": [f"{new_id()}:0"] * 101}],
)
def test_what_is_no_place_is_refused(client: httpx.Client, query: Json) -> None:
    assert client.get("/api/v1/events/shared", params=query).status_code == 422


def test_silence_is_broken_by_the_monitors_time(
    served: Served, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser_stream, "PING_EVERY_S", 0.1)
    with following(served, {"run": place(Trainer(client))}) as heard:  # type: ignore[arg-type]
        wait_until(lambda: len(heard.of("now")) >= 3, 20)


def test_the_sources_are_let_go_with_the_viewer(served: Served, client: httpx.Client) -> None:
    def count() -> int:
        return served.service.channels.count() + served.service.table.count()

    trainers = [Trainer(client) for _ in range(3)]  # type: ignore[arg-type]
    query = {"run": [place(t) for t in trainers], "table": "true"}
    with client.stream("GET", "/api/v1/events/shared", params=query) as answer:
        lines = answer.iter_lines()  # what is not kept is closed
        next(lines)
        wait_until(lambda: count() == 4, 20)
    for trainer in trainers:
        trainer.send(point(1))
    wait_until(lambda: count() == 0, 20)
