"""Two monitors on one PostgreSQL: every viewer of either sees everything once, also when one dies."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from cusp.cli.demo.processes import free_port
from cusp.ids import new_id
from monitor.app import create_app
from monitor.settings import MonitorConfig
from tests.conftest import MonitorProcess
from tests.messages import Json, Trainer, transition

VIEWERS = int(os.environ.get("CUSP_TEST_VIEWERS", "12"))


@pytest.fixture
def pair(tmp_path: Path, postgres_database: str) -> Iterator[list[MonitorProcess]]:
    """Two monitor processes on one database."""
    monitors = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        port = free_port(0)
        monitors.append(MonitorProcess(tmp_path / name, port, database_url=postgres_database))
        monitors[-1].start()
    yield monitors
    for monitor in monitors:
        if monitor.process is not None and monitor.process.poll() is None:
            monitor.kill()


def script(folder: Path) -> tuple[list[list[Json]], Json]:
    """Return the batches of a run that turns, and what a single monitor on SQLite makes of them."""
    batches: list[list[Json]] = []
    with TestClient(
        create_app(MonitorConfig(str(folder / "single.db"))), base_url="http://127.0.0.1:8787"
    ) as api:
        trainer = Trainer(api)
        send = trainer.send

        def kept(*messages: Json, **more: int | None) -> Json:
            batches.append(list(messages))
            return send(*messages)

        trainer.send = kept  # type: ignore[method-assign]
        transition(trainer)
        return batches, outcome(trainer.get("/verdicts"), trainer.get())


def outcome(verdicts: Json, run: Json) -> Json:
    """Return what must not depend on how many monitors there were."""
    decided = [(d["kind"], d["step"], d["checkpoint_step"]) for d in run["decisions"]]
    commands = [(c["kind"], c["steps"]) for c in run["commands"]]
    return {
        "verdicts": verdicts,
        "transition": run["transition"],
        "decisions": sorted(decided, key=str),
        "commands": sorted(commands, key=str),
        "aliases": {alias: c["step"] for alias, c in run["checkpoints"].items()},
    }


class Viewer:
    """Follows a run at one monitor, and goes on at the other one when that fails."""

    def __init__(self, urls: list[str], path: str, last_step: int) -> None:
        self.urls, self.path, self.last_step = urls, path, last_step
        self.steps: list[int] = []
        self.cursor: str | None = None
        self.reconnects = 0

    async def follow(self, client: httpx.AsyncClient) -> None:
        while self.last_step not in self.steps:
            url = self.urls[self.reconnects % len(self.urls)]
            with suppress(httpx.HTTPError):
                await self._read(client, url)
            self.reconnects += 1
            await asyncio.sleep(0.05)

    async def _read(self, client: httpx.AsyncClient, url: str) -> None:
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        event: dict[str, str] = {}
        async with client.stream("GET", url + self.path, headers=headers) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                event[field] = value
                if not line:
                    self._take(event)
                    event = {}
                if self.last_step in self.steps:
                    return

    def _take(self, event: dict[str, str]) -> None:
        """Take a whole event; each batch here has one point, so that every point has an id."""
        self.cursor = event.get("id", self.cursor)
        if event.get("event") == "point":
            self.steps.append(json.loads(event["data"])["step"])


async def post(client: httpx.AsyncClient, urls: list[str], path: str, body: Json) -> Json:
    """Post to the first monitor that answers, as the client's sender would in the end."""
    for attempt in range(100):
        with suppress(httpx.HTTPError):
            answer = await client.post(urls[attempt % len(urls)] + path, json=body)
            answer.raise_for_status()
            found: Json = answer.json()
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"nobody took {path}")


async def feed(
    client: httpx.AsyncClient, pair: list[MonitorProcess], start: Json, batches: list[list[Json]]
) -> None:
    """Send each batch to the other monitor than the one before; kill one in the middle."""
    urls = [monitor.url for monitor in pair]
    seq = 0
    for number, messages in enumerate(batches):
        body = {"attempt_id": start["attempt_id"], "first_seq": seq, "messages": messages}
        turn = urls[number % 2 :] + urls[: number % 2]
        sending = asyncio.create_task(
            post(client, turn, f"/api/v1/runs/{start['run_id']}/batches", body)
        )
        if number == len(batches) // 2:
            await asyncio.sleep(0.005)
            pair[number % 2].kill()  # with this very batch in its hands
        seq = (await sending)["next_seq"]
        await asyncio.sleep(0.02)


async def watched(
    pair: list[MonitorProcess], start: Json, batches: list[list[Json]], last_step: int
) -> list[Viewer]:
    urls = [monitor.url for monitor in pair]
    path = f"/api/v1/runs/{start['run_id']}/events"
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as client:
        await post(client, urls, "/api/v1/runs", start)
        viewers = [Viewer(urls[n % 2 :] + urls[: n % 2], path, last_step) for n in range(VIEWERS)]
        following = [asyncio.create_task(viewer.follow(client)) for viewer in viewers]
        await feed(client, pair, start, batches)
        await asyncio.wait_for(asyncio.gather(*following), 60)
    return viewers


def test_every_viewer_of_two_monitors_sees_every_point_once_in_order_though_one_dies(
    pair: list[MonitorProcess], tmp_path: Path
) -> None:
    batches, alone = script(tmp_path)
    steps = [m["step"] for batch in batches for m in batch if m["kind"] == "point"]
    start = {"run_id": new_id(), "attempt_id": new_id(), "name": "n"}
    viewers = asyncio.run(watched(pair, start, batches, steps[-1]))
    for viewer in viewers:
        assert viewer.steps == steps
    assert sum(viewer.reconnects for viewer in viewers) >= VIEWERS // 2
    alive = next(m for m in pair if m.process is not None and m.process.poll() is None)
    path = f"/runs/{start['run_id']}"
    assert outcome(alive.get(f"{path}/verdicts"), alive.get(path)) == alone


def test_a_viewer_hears_from_the_other_monitor_without_waiting_for_its_own_look(
    pair: list[MonitorProcess],
) -> None:
    start = {"run_id": new_id(), "attempt_id": new_id(), "name": "n"}

    async def measured() -> float:
        clock = asyncio.get_running_loop().time
        path = f"/api/v1/runs/{start['run_id']}"
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await post(client, [pair[0].url], "/api/v1/runs", start)
            viewer = Viewer([pair[1].url], f"{path}/events", 1)
            following = asyncio.create_task(viewer.follow(client))
            await asyncio.sleep(1)
            sent_at = clock()
            message = {"kind": "point", "step": 1, "metrics": {"reward": 1.0}}
            body = {"attempt_id": start["attempt_id"], "first_seq": 0, "messages": [message]}
            await post(client, [pair[0].url], f"{path}/batches", body)
            await asyncio.wait_for(following, 10)
            return clock() - sent_at

    assert asyncio.run(measured()) < 2.5


def test_a_second_monitor_on_one_sqlite_file_is_refused_with_the_way_out(
    monitor_process: MonitorProcess,
) -> None:
    monitor_process.start()
    second = MonitorProcess(monitor_process.folder, free_port(0))
    with pytest.raises(AssertionError, match=r"another monitor \(process \d+\) uses .*cusp\.db"):
        second.start()
    assert second.process is not None
    assert second.process.wait(5) == 2
    monitor_process.kill()
    second.start()
    assert second.stop() in (0, -15)
