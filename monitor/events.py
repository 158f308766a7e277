"""Who is listening to which run, and the stream of a run's changes from any cursor.

The hub only wakes listeners; what they send is read from the database by cursor, so a listener that
reconnects, or one of another process, misses nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from anyio import to_thread

from monitor import views
from monitor.store import feed, findings, points, runs
from monitor.store.database import Database, Transaction

COALESCE_S = 0.1
RUN_EVERY_S = 0.5
# A monitor that dies between its commit and its notice leaves the viewers of the others unaware.
LOOK_EVERY_S = 5.0
Event = tuple[int | None, str, dict[str, Any]]


class Hub:
    """Wakes the listeners of a run from any thread; `close` ends all streams."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[Listener] = set()
        self.closing = asyncio.Event()

    def open(self) -> None:
        """Bind the hub to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def changed(self, run_id: str) -> None:
        """Wake whoever listens to the run. Called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, run_id)

    def close(self) -> None:
        """End all streams, from the event loop."""
        self.closing.set()
        for listener in self._listeners:
            listener.wake.set()

    def listen(self, run_id: str | None) -> "Listener":
        """Return a listener to one run, or to all; use it as a context manager."""
        return Listener(self, run_id)

    def count(self) -> int:
        """Return how many streams are open."""
        return len(self._listeners)

    def add(self, listener: "Listener") -> None:
        """Begin waking this listener."""
        self._listeners.add(listener)

    def remove(self, listener: "Listener") -> None:
        """Stop waking this listener."""
        self._listeners.discard(listener)

    def _wake(self, run_id: str) -> None:
        for listener in self._listeners:
            if listener.run_id in (None, run_id):
                listener.changed.add(run_id)
                listener.wake.set()


class Listener:
    """One open stream: the runs that changed since it last looked."""

    def __init__(self, hub: Hub, run_id: str | None) -> None:
        self._hub = hub
        self.run_id = run_id
        self.changed: set[str] = set()
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


async def of_run(
    hub: Hub, database: Database, run_id: str, cursor: int, summarise: Callable[[str], Any]
) -> AsyncIterator[Event]:
    """Yield (cursor, event name, data) for every change of the run after `cursor`, for ever."""
    with hub.listen(run_id) as listener:
        heard = False
        while not hub.closing.is_set():
            found, cursor, more = await to_thread.run_sync(
                _since, database, run_id, cursor, summarise
            )
            if heard and not found:  # a heartbeat: nothing is new but the time of the last contact
                found = [(None, "run", await to_thread.run_sync(summarise, run_id))]
            for one in found:
                yield one
            if not more:
                heard = bool(await listener.wait(LOOK_EVERY_S))
                await asyncio.sleep(COALESCE_S if heard else 0)


async def of_all(hub: Hub, summarise: Callable[[str], Any]) -> AsyncIterator[Event]:
    """Yield a `run` event whenever a run changes, at most two a second for each."""
    with hub.listen(None) as listener:
        while not hub.closing.is_set():
            for run_id in sorted(await listener.wait()):
                run = await to_thread.run_sync(summarise, run_id)
                if run is not None:
                    yield None, "run", run
            await asyncio.sleep(RUN_EVERY_S)


def _since(
    database: Database, run_id: str, cursor: int, summarise: Callable[[str], Any]
) -> tuple[list[Event], int, bool]:
    most = 500
    with database.read() as tx:
        changes = feed.after(tx, run_id, cursor, most)
        found: list[Event] = []
        for change in changes:
            found += _expand(tx, run_id, change.cursor, change.kind, change.ref)
    if changes:
        cursor = changes[-1].cursor
    if any(change.kind == "run" for change in changes):
        found.append((cursor, "run", summarise(run_id)))
    # The cursor goes out with the last event of a change: one that breaks off in between is repeated.
    return found, cursor, len(changes) == most


def _expand(
    tx: Transaction, run_id: str, cursor: int, kind: str, ref: dict[str, Any]
) -> list[Event]:
    if kind == "points":
        return _points(tx, run_id, cursor, ref)
    if kind == "verdicts":
        rows = findings.verdicts_of(tx, run_id, ref["from"], ref["to"])
        return _numbered(
            cursor,
            "verdict",
            [
                {"step": r.step, "phase": r.phase, "score": r.score, "evidence": r.evidence}
                for r in rows
            ],
        )
    if kind == "run":
        return []
    return [(cursor, kind, ref)]


def _points(tx: Transaction, run_id: str, cursor: int, ref: dict[str, Any]) -> list[Event]:
    attempts = runs.attempts_of(tx, run_id)
    key = ref["attempt_key"]
    number = views.attempt_numbers(attempts).get(key, 0)
    found: dict[int, dict[str, float]] = {}
    for one in points.read(tx, run_id, {key: 2**62}, since=ref["from"], until=ref["to"]):
        if one.name != points.AT:
            for step, value, owner in zip(one.steps, one.values, one.attempts, strict=True):
                if owner == key:
                    found.setdefault(step, {})[one.name] = value
    data = [{"step": s, "attempt": number, "metrics": found[s]} for s in sorted(found)]
    return _numbered(cursor, "point", data)


def _numbered(cursor: int, kind: str, data: list[dict[str, Any]]) -> list[Event]:
    """Return the events of one change; only the last carries the cursor."""
    last = len(data) - 1
    return [(cursor if i == last else None, kind, one) for i, one in enumerate(data)]
