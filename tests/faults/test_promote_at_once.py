"""A hundred repeats of one promotion at once are one, on SQLite and at two monitors on one PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from cusp.cli.demo.processes import free_port
from cusp.ids import new_id
from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point
from tests.waiting import wait_until

REPEATS = 100


@pytest.fixture(params=["sqlite", "two monitors on postgresql"])
def monitors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[MonitorProcess]]:
    """Monitor processes on one database: SQLite has one of them, PostgreSQL two."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    started = []
    for name in "a" if url is None else "ab":
        (tmp_path / name).mkdir()
        started.append(MonitorProcess(tmp_path / name, free_port(0), database_url=url))
        started[-1].settings["CUSP_WEBHOOK_ALLOW"] = "127.0.0.1"
        started[-1].start()
    yield started
    for monitor in started:
        monitor.kill()
        assert "Traceback" not in (monitor.folder / "monitor.log").read_text()


def at_once(
    monitors: Sequence[MonitorProcess], requests: Sequence[dict[str, Any]]
) -> list[httpx.Response]:
    """Send all requests at the same time, to the monitors in turn."""

    async def all_of_them() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
            return await asyncio.gather(
                *(
                    client.post(
                        f"{monitors[i % len(monitors)].url}/api/v1{asked['path']}",
                        json=asked["json"],
                        headers=asked.get("headers"),
                    )
                    for i, asked in enumerate(requests)
                )
            )

    return asyncio.run(all_of_them())


@pytest.fixture
def client(monitors: list[MonitorProcess]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=monitors[0].url, timeout=30, trust_env=False) as client:
        yield client


def noted(client: httpx.Client) -> list[str]:
    """Return the requests to promote of which there is an audit row."""
    rows = client.get("/api/v1/audit", params={"requests": True}).json()["audit"]
    return [row["target"] for row in rows if row["target"].endswith("/promote")]


def test_a_hundred_repeats_of_one_promotion_at_once_are_one_promotion(
    monitors: list[MonitorProcess], client: httpx.Client
) -> None:
    hook = client.post("/api/v1/webhooks", json={"url": "http://127.0.0.1:9/"}).json()
    trainer, one = Trainer(client), new_id()  # type: ignore[arg-type]
    trainer.send(point(10), checkpoint(10, one))
    asked = {
        "path": f"/checkpoints/{one}/promote",
        "json": {"alias": "production", "expected_current": None},
        "headers": {"Idempotency-Key": "the one"},
    }
    answers = at_once(monitors, [asked] * REPEATS)
    assert Counter(answer.status_code for answer in answers) == {200: REPEATS}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["previous"] is None
    (found,) = trainer.get("/checkpoints")["checkpoints"]
    assert found["aliases"] == ["production"]
    acts = [act["action"] for act in trainer.get("/audit")["audit"]]
    assert acts.count("promote") == 1
    assert [command["kind"] for command in trainer.get()["commands"]] == ["keep"]
    told = client.get(f"/api/v1/webhooks/{hook['id']}/deliveries").json()["deliveries"]
    assert [each["topic"] for each in told].count("checkpoint.promoted") == 1
    # A request is noted once its answer is on its way.
    wait_until(lambda: len(noted(client)) >= REPEATS, 20, "that each was asked for is noted")
    assert len(noted(client)) == REPEATS


def test_of_promotions_at_once_that_expect_the_alias_nowhere_one_moves_it(
    monitors: list[MonitorProcess], client: httpx.Client
) -> None:
    trainer = Trainer(client)  # type: ignore[arg-type]
    ids = [new_id() for _ in range(20)]
    trainer.send(*(checkpoint(step, each) for step, each in enumerate(ids)))
    asked = [
        {"path": f"/checkpoints/{each}/promote", "json": {"expected_current": None}} for each in ids
    ]
    answers = at_once(monitors, asked)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    (won,) = (answer.json() for answer in answers if answer.is_success)
    held = {c["id"]: c["aliases"] for c in trainer.get("/checkpoints")["checkpoints"]}
    assert {each for each, aliases in held.items() if "production" in aliases} == {
        won["checkpoint_id"]
    }
    acts = [act["action"] for act in trainer.get("/audit")["audit"]]
    assert acts.count("promote") == 1
