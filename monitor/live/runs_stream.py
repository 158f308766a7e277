"""The stream of the runs table: each run that changed is summarised once, however many look.

A viewer holds at most one summary of each run, the newest: a slow one misses those in between, which
the next replaces anyway.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import anyio
from anyio import to_thread
from fastapi.sse import KEEPALIVE_COMMENT

from monitor.live.changes import Reader
from monitor.live.hub import Hub
from monitor.live.run_stream import PING_EVERY_S

RUN_EVERY_S = 0.5
AT_ONCE = 200  # runs that are read together, each table once
_log = logging.getLogger(__name__)
Reaches = Callable[[str, str], bool]  # whether a viewer may see the run of this id and project


class TableStream:
    """Sends a `run` event whenever a run changes, at most two a second for each."""

    def __init__(self, hub: Hub, reader: Reader) -> None:
        self._closing = hub.closing
        self._listener = hub.listen(None)
        self._reader = reader
        self._viewers: set[_Viewer] = set()
        self._task: asyncio.Task[None] | None = None

    async def follow(self, reaches: Reaches) -> AsyncGenerator[bytes]:
        """Yield the encoded summaries of runs that change, until the monitor closes."""
        viewer = _Viewer(reaches)
        self._viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_summarising(), name="table-stream")
            self._task.add_done_callback(self._finish)
        try:
            while content := await viewer.next():
                yield content
        finally:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._listener.wake.set()

    def count(self) -> int:
        """Return how many viewers there are."""
        return len(self._viewers)

    async def _keep_summarising(self) -> None:
        with self._listener:
            while self._viewers and not self._closing.is_set():
                changed = sorted(await self._listener.wait())
                for first in range(0, len(changed), AT_ONCE):
                    some = changed[first : first + AT_ONCE]
                    for run, content in await to_thread.run_sync(self._reader.summaries, some):
                        self._tell(run, content)
                await asyncio.sleep(RUN_EVERY_S)

    def _tell(self, run: Any, content: bytes) -> None:
        for viewer in self._viewers:
            if viewer.reaches(run["id"], run["project"]):
                viewer.waiting[run["id"]] = content
                viewer.wake.set()

    def _finish(self, task: asyncio.Task[None]) -> None:
        for viewer in self._viewers if task is self._task else ():
            viewer.ended = True
            viewer.wake.set()
        with suppress(asyncio.CancelledError):
            if error := task.exception():
                _log.warning("the streams of the runs table broke off: %s", error)


class _Viewer:
    """One open stream: the newest summaries that it was not given yet."""

    def __init__(self, reaches: Reaches) -> None:
        self.reaches = reaches
        self.waiting: dict[str, bytes] = {}
        self.wake = asyncio.Event()
        self.ended = False

    async def next(self) -> bytes:
        """Return what is new, or a sign of life after a while; nothing at the end."""
        with anyio.move_on_after(PING_EVERY_S):
            await self.wake.wait()
        self.wake.clear()
        waiting, self.waiting = self.waiting, {}
        return b"" if self.ended else b"".join(waiting.values()) or KEEPALIVE_COMMENT
