"""Subscriptions of the event streams to runs."""

import asyncio
from collections.abc import Set

import anyio

from monitor.live.fresh import Fresh


class Hub:
    """Wakes the listeners of a run from any thread; `close` ends all streams."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[Listener] = set()
        self.closing = asyncio.Event()

    def open(self) -> None:
        """Bind the hub to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def changed(self, run_ids: Set[str]) -> None:
        """Wake whoever listens to one of the runs. Called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, run_ids)

    def told(self, run_id: str, fresh: Fresh) -> None:
        """Hand a run's listeners what is new, so that they need not read it. Called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hand, run_id, fresh)

    def close(self) -> None:
        """End all streams, from the event loop."""
        self.closing.set()
        for listener in self._listeners:
            listener.wake.set()

    def listen(self, run_id: str | None) -> "Listener":
        """Return a listener to one run, or to all; use it as a context manager."""
        return Listener(self, run_id)

    def add(self, listener: "Listener") -> None:
        """Begin waking this listener."""
        self._listeners.add(listener)

    def remove(self, listener: "Listener") -> None:
        """Stop waking this listener."""
        self._listeners.discard(listener)

    def _wake(self, run_ids: Set[str]) -> None:
        for listener in self._listeners:
            if listener.run_id is None or listener.run_id in run_ids:
                listener.changed |= run_ids if listener.run_id is None else {listener.run_id}
                listener.unread = True
                listener.wake.set()

    def _hand(self, run_id: str, fresh: Fresh) -> None:
        for listener in self._listeners:
            if listener.run_id == run_id:
                listener.fresh.append(fresh)
            elif listener.run_id is not None:
                continue
            listener.changed.add(run_id)
            listener.wake.set()


class Listener:
    """The runs that changed since it last looked."""

    def __init__(self, hub: Hub, run_id: str | None) -> None:
        self._hub = hub
        self.run_id = run_id
        self.changed: set[str] = set()
        self.fresh: list[Fresh] = []  # handed over, in the order of their commits or nearly so
        self.unread = False  # whether there is something that was not handed over
        self.wake = asyncio.Event()

    def __enter__(self) -> "Listener":
        self._hub.add(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._hub.remove(self)

    async def wait(self, most_s: float | None = None) -> set[str]:
        """Return the runs that changed, once there are any, the hub closes, or the time is over."""
        with anyio.move_on_after(most_s):
            await self.wake.wait()
        self.wake.clear()
        changed, self.changed = self.changed, set()
        return changed

    def taken(self) -> tuple[list[Fresh], bool]:
        """Return what was handed over since the last time, and whether there is something to read."""
        found = self.fresh, self.unread
        self.fresh, self.unread = [], False
        return found
