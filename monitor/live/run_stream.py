"""One run's changes, read and encoded once, however many viewers follow them.

A channel lives in the event loop as long as somebody follows its run. It reads what is new by cursor, once,
and keeps the last parts of the encoded stream; each viewer holds only its place among them. A viewer that
comes with an older cursor, or was so slow that its next part is not kept any more, reads from the database
up to where the channel is, and goes on with it; those who come with one cursor at once share the reading.
So nothing is lost or repeated, and a slow viewer costs no memory. The hub only wakes: channels of other
processes, and channels that were not woken, look by cursor.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import anyio
from anyio import to_thread
from fastapi.sse import KEEPALIVE_COMMENT

from monitor.live.changes import Reader, RunChanges
from monitor.live.hub import Hub
from monitor.store.changes import NO_END

COALESCE_S = 0.1  # from one reading to the next; the first of a run at rest is at once
# A monitor that dies between its commit and its notice leaves the viewers of the others unaware.
LOOK_EVERY_S = 5.0
PING_EVERY_S = 15.0
KEPT_PARTS, KEPT_BYTES = 256, 1 << 20
READERS = (
    2  # threads that read what is new, and as many what was before; the others are for requests
)
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedPart:
    """The encoded changes after one cursor up to another; both are the same for a heartbeat."""

    after: int
    upto: int
    content: bytes


class Channels:
    """The channels of the runs that somebody follows."""

    def __init__(self, hub: Hub, reader: Reader) -> None:
        self._hub = hub
        self._reader = reader
        self._open: dict[str, Channel] = {}
        self._threads = anyio.CapacityLimiter(READERS)
        self._behind = anyio.CapacityLimiter(READERS)

    async def follow(self, run_id: str, cursor: int) -> AsyncGenerator[bytes]:
        """Yield the encoded changes of the run after `cursor` until the monitor closes.

        It also ends when the run could not be read: the viewer comes back and is told why.
        """
        channel = self._open.get(run_id)
        if channel is None or channel.ended:
            channel = self._open[run_id] = Channel(
                self._hub, run_id, self._reader, self._threads, self._behind
            )
        channel.viewers += 1
        try:
            async for content in channel.follow(cursor):
                yield content
        finally:
            channel.viewers -= 1
            if channel.viewers == 0:
                channel.close()
                if self._open.get(run_id) is channel:
                    del self._open[run_id]

    def follows(self, run_id: str) -> bool:
        """Return whether anybody follows the run. Called from any thread."""
        return run_id in self._open

    def count(self) -> int:
        """Return how many viewers follow a run."""
        return sum(channel.viewers for channel in self._open.values())


class Channel:
    """One run: the task that reads it, and its last parts."""

    def __init__(
        self,
        hub: Hub,
        run_id: str,
        reader: Reader,
        threads: anyio.CapacityLimiter,
        behind: anyio.CapacityLimiter,
    ) -> None:
        self.viewers = 0
        self.ended = False
        self._closing = hub.closing
        self._listener = hub.listen(run_id)
        self._run_id = run_id
        self._reader = reader
        self._threads = threads
        self._behind = behind
        self._catching: dict[tuple[int, int], asyncio.Task[RunChanges]] = {}
        self._head = -1  # the last cursor read; unknown at first
        self._parts: deque[EncodedPart] = deque()
        self._first = 0  # the number of the oldest part kept
        self._bytes = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._keep_reading(), name=f"channel-{run_id}")
        self._task.add_done_callback(self._finish)

    def close(self) -> None:
        """End the reading, after the one that is under way."""
        self._listener.wake.set()

    async def follow(self, cursor: int) -> AsyncGenerator[bytes]:
        """Yield what comes after `cursor`."""
        while self._head < 0 and not self.ended:
            await self._news.wait()
        number = -1  # of the next part, once the viewer is where the channel is
        while not self.ended:
            if number < self._first:
                # Both are of the same moment: nothing is awaited between.
                head, number = self._head, self._first + len(self._parts)
                async for content in self._catch_up(cursor, head):
                    yield content
                cursor = max(cursor, head)
            elif number < self._first + len(self._parts):
                part = self._parts[number - self._first]
                number += 1
                async for content in self._rest_of(part, cursor):
                    yield content
                cursor = max(cursor, part.upto)
            elif not await self._wait():
                yield KEEPALIVE_COMMENT

    async def _rest_of(self, part: EncodedPart, cursor: int) -> AsyncGenerator[bytes]:
        """Yield what of the part comes after the cursor; heartbeats are for all."""
        if cursor <= part.after or part.after == part.upto:
            yield part.content
        elif cursor < part.upto:
            async for content in self._catch_up(cursor, part.upto):
                yield content

    async def _catch_up(self, cursor: int, upto: int) -> AsyncGenerator[bytes]:
        while cursor < upto:
            cursor, content, _ = await asyncio.shield(self._read_before(cursor, upto))
            if content:
                yield content

    def _read_before(self, cursor: int, upto: int) -> "asyncio.Task[RunChanges]":
        """Return the reading of what a viewer missed, the one under way if there is one.

        A hundred viewers who come at once with an old cursor would take all threads, and the
        trainers' requests would time out.
        """
        key = (cursor, upto)
        if key not in self._catching:
            reading = self._in_thread(self._behind, self._reader.read, *key)
            self._catching[key] = asyncio.create_task(reading, name=f"reading-{self._run_id}")
            self._catching[key].add_done_callback(lambda task: self._caught_up(key, task))
        return self._catching[key]

    def _caught_up(self, key: tuple[int, int], task: "asyncio.Task[RunChanges]") -> None:
        del self._catching[key]
        if not task.cancelled():
            task.exception()  # who waited for it has met it

    async def _wait(self) -> bool:
        """Return whether there is news; not, when none came for a while."""
        with anyio.move_on_after(PING_EVERY_S):
            await self._news.wait()
            return True
        return False

    async def _keep_reading(self) -> None:
        with self._listener:
            self._head = await self._in_thread(self._threads, self._reader.head)
            self._tell()
            while self.viewers and not self._closing.is_set():
                heard = bool(await self._listener.wait(LOOK_EVERY_S))
                new, unread = await self._take_new(heard=heard)
                if unread and not new:  # a heartbeat: only the time of the last contact is new
                    content = await self._in_thread(self._threads, self._reader.summary)
                    if not content:  # it was purged: whoever comes back is told
                        return
                    self._add(EncodedPart(self._head, self._head, content))
                await asyncio.sleep(COALESCE_S if heard else 0)

    async def _take_new(self, *, heard: bool) -> tuple[bool, bool]:
        """Take what was handed over, read what was not; return whether there was anything, and what was heard of."""
        began = self._head
        handed, unread = self._listener.taken()
        for one in handed:
            if one.after == self._head:
                self._head = one.upto
                self._add(EncodedPart(one.after, one.upto, one.content))
            elif one.upto > self._head:
                unread = True  # one before it came by another way, or is still to come
        if unread or not heard:
            await self._read_new()
        return self._head != began, unread

    async def _read_new(self) -> bool:
        """Read until there is nothing more; return whether there was anything."""
        began, more = self._head, True
        while more:
            upto, content, more = await self._in_thread(
                self._threads, self._reader.read, self._head, NO_END
            )
            if upto != self._head:
                part = EncodedPart(self._head, upto, content)
                self._head = upto
                self._add(part)
        return self._head != began

    async def _in_thread(
        self, threads: anyio.CapacityLimiter, read: Callable[..., T], *given: int
    ) -> T:
        """Return what a reading of the run gives, as one of the few that go on at once."""
        return await to_thread.run_sync(read, self._run_id, *given, limiter=threads)

    def _add(self, part: EncodedPart) -> None:
        self._parts.append(part)
        self._bytes += len(part.content)
        while len(self._parts) > KEPT_PARTS or (self._bytes > KEPT_BYTES and len(self._parts) > 1):
            self._bytes -= len(self._parts.popleft().content)
            self._first += 1
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self.ended = True
        self._tell()
        with suppress(asyncio.CancelledError):
            if error := task.exception():
                _log.warning("the streams of run %s broke off: %s", self._run_id, error)
