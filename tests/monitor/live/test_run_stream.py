"""What many viewers of one run share: one reading for all, and a place of their own in it."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest

from cusp.ids import new_id
from cusp.protocol.messages import Batch
from cusp.protocol.run import RunStart
from monitor.database.engine import Database
from monitor.ingest.ingest import Ingest
from monitor.live import run_stream
from monitor.live.changes import Reader, RunChanges
from monitor.live.hub import Hub
from monitor.live.run_stream import Channels
from tests.messages import point


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.upgrade()
    yield database
    database.close()


class Counting(Reader):
    """Counts the readings that brought something, and how many there were at once."""

    fruitful = at_once = most_at_once = 0
    takes_s = 0.0

    def read(self, run_id: str, cursor: int, upto: int) -> RunChanges:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.takes_s)
        found = super().read(run_id, cursor, upto)
        self.fruitful += found.upto > cursor
        self.at_once -= 1
        return found


class Scene:
    """A run with an ingest, and the channels that viewers follow."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.hub = Hub()
        self.hub.open()
        self.database.on_commit = self.hub.changed
        self.ingest = Ingest(self.database)
        self.reader = Counting(self.database, lambda run_id: {"id": run_id})
        self.channels = Channels(self.hub, self.reader)
        self.run_id, self.attempt_id, self.step = new_id(), new_id(), 0
        start = RunStart(run_id=self.run_id, attempt_id=self.attempt_id, project="p", name="n")
        self.ingest.announce(start)

    async def log(self, steps: int = 1) -> None:
        messages = [point(self.step + n, format_reward=0.5) for n in range(1, steps + 1)]
        batch = Batch(attempt_id=self.attempt_id, first_seq=self.step, messages=messages)
        await asyncio.to_thread(self.ingest.batch, self.run_id, batch)
        self.step += steps

    async def end(self, *viewers: AsyncGenerator[bytes]) -> None:
        """Let the viewers go and end what still reads, as the monitor does when it closes."""
        for viewer in viewers:
            await viewer.aclose()
        self.hub.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    async def steps(self, stream: AsyncGenerator[bytes], last: int) -> list[int]:
        """Return the steps of the points that come, up to and with `last`."""
        found: list[int] = []
        async for content in stream:
            found += steps_in(content)
            if found and found[-1] >= last:
                return found
        return found


def steps_in(content: bytes) -> list[int]:
    events = [event.split("\n") for event in content.decode().split("\n\n")]
    data = [lines[1] for lines in events if lines[0] == "event: point"]
    return [json.loads(one.removeprefix("data: "))["step"] for one in data]


def test_a_change_is_read_once_however_many_look(database: Database) -> None:
    async def scene() -> None:
        it = Scene(database)
        head = it.reader.head(it.run_id)
        viewers = [it.channels.follow(it.run_id, head) for _ in range(40)]
        following = [asyncio.create_task(it.steps(viewer, 8)) for viewer in viewers]
        await asyncio.sleep(0.1)
        for _ in range(8):
            await it.log()
            await asyncio.sleep(0.02)
        found = await asyncio.wait_for(asyncio.gather(*following), 20)
        assert all(steps == list(range(1, 9)) for steps in found)
        assert it.reader.fruitful <= 8
        assert it.channels.count() == 40
        for viewer in viewers:
            await viewer.aclose()
        assert it.channels.count() == 0
        await it.end()

    asyncio.run(scene())


def test_viewers_from_any_cursor_see_the_rest_once_and_in_order(database: Database) -> None:
    async def scene() -> None:
        it = Scene(database)
        await it.log(5)
        await it.log(5)
        cursors = range(it.reader.head(it.run_id) + 1)
        first = it.channels.follow(it.run_id, 0)
        following = [asyncio.create_task(it.steps(first, 20))]
        await asyncio.sleep(0.2)
        streams = [it.channels.follow(it.run_id, cursor) for cursor in cursors]
        following += [asyncio.create_task(it.steps(stream, 20)) for stream in streams]
        await it.log(5)  # while they catch up
        await it.log(5)
        found = await asyncio.wait_for(asyncio.gather(*following), 20)
        for steps in found:
            assert steps == list(range(steps[0], 21))
        assert found[0][0] == 1
        assert found[-1][0] == 11
        await it.end(first, *streams)

    asyncio.run(scene())


def test_viewers_who_come_at_once_with_an_old_cursor_share_the_reading(database: Database) -> None:
    async def scene() -> None:
        it = Scene(database)
        for _ in range(10):
            await it.log(5)
        it.reader.takes_s = 0.05
        viewers = [it.channels.follow(it.run_id, 0) for _ in range(60)]
        following = [asyncio.create_task(it.steps(viewer, 50)) for viewer in viewers]
        leaving = following.pop()
        await asyncio.sleep(0.12)
        leaving.cancel()  # the others still get what it waited for
        found = await asyncio.wait_for(asyncio.gather(*following), 20)
        assert all(steps == list(range(1, 51)) for steps in found)
        assert it.reader.fruitful <= 4
        await it.end(*viewers)

    asyncio.run(scene())


def test_viewers_far_behind_take_few_threads_from_the_trainers(database: Database) -> None:
    async def scene() -> None:
        it = Scene(database)
        for _ in range(30):
            await it.log()
        it.reader.takes_s = 0.02
        cursors = range(it.reader.head(it.run_id) // 2)
        assert len(cursors) >= 15
        viewers = [it.channels.follow(it.run_id, cursor) for cursor in cursors]
        following = [asyncio.create_task(it.steps(viewer, 30)) for viewer in viewers]
        await asyncio.wait_for(asyncio.gather(*following), 20)
        assert it.reader.most_at_once <= 2 * run_stream.READERS
        await it.end(*viewers)

    asyncio.run(scene())


def test_a_viewer_too_slow_for_what_is_kept_still_sees_everything(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_stream, "KEPT_PARTS", 2)
    monkeypatch.setattr(run_stream, "COALESCE_S", 0.0)

    async def scene() -> None:
        it = Scene(database)
        async with (
            aclosing(it.channels.follow(it.run_id, 0)) as slow,
            aclosing(it.channels.follow(it.run_id, 0)) as quick,
        ):
            seen: list[int] = []
            reading = asyncio.create_task(it.steps(quick, 30))
            for _ in range(30):
                await it.log()
                if it.step % 10 == 1:
                    seen += steps_in(await anext(slow))
                await asyncio.sleep(0.01)
            assert await asyncio.wait_for(reading, 20) == list(range(1, 31))
            while not seen or seen[-1] < 30:
                seen += steps_in(await asyncio.wait_for(anext(slow), 5))
            assert seen == list(range(1, 31))
        await it.end()

    asyncio.run(scene())


def test_a_reading_that_fails_ends_the_streams_and_the_next_viewer_has_a_fresh_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        it = Scene(database)
        stream = it.channels.follow(it.run_id, 0)
        following = asyncio.create_task(it.steps(stream, 99))
        await asyncio.sleep(0.2)
        with monkeypatch.context() as broken:
            broken.setattr(it.reader, "read", lambda *given: 1 / 0)
            await it.log()
            assert await asyncio.wait_for(following, 5) == []
        again = it.channels.follow(it.run_id, 0)
        assert await asyncio.wait_for(it.steps(again, 1), 5) == [1]
        await it.end(again)

    asyncio.run(scene())
