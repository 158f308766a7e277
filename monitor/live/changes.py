"""A run's changes from any cursor, as the stream sends them.

The hub only wakes listeners; what they send is read from the database by cursor, so a listener that
reconnects, or one of another process, misses nothing.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastapi.sse import format_sse_event

from monitor.database.engine import Database, Transaction
from monitor.roles.role_series import role_series
from monitor.schemas import base
from monitor.store import changes as changes_table
from monitor.store import points, runs, verdicts

MOST_CHANGES = 500
Event = tuple[int | None, str, dict[str, Any]]


class RunChanges(NamedTuple):
    """The encoded changes up to a cursor, and whether there are more at once."""

    upto: int
    content: bytes
    more: bool


class Reader:
    """Reads a run's changes from the database, encoded as the stream sends them."""

    def __init__(self, database: Database, summarise: Callable[[Sequence[str]], Any]) -> None:
        self._database = database
        self._summarise = summarise

    def head(self, run_id: str) -> int:
        """Return the cursor of the run's last change, 0 where there is none."""
        with self._database.read() as tx:
            return changes_table.last(tx, run_id)

    def read(self, run_id: str, cursor: int, upto: int) -> RunChanges:
        """Return the changes after `cursor`, at most up to `upto`, with the cursor of the last one.

        The cursor goes out with the last event of a change: one that breaks off in between is repeated.
        """
        with self._database.read() as tx:
            changes = changes_table.after(tx, run_id, cursor, MOST_CHANGES, upto)
            found: list[Event] = []
            for change in changes:
                found += _expand(tx, run_id, change.cursor, change.kind, change.ref)
        if changes:
            cursor = changes[-1].cursor
        if any(change.kind == "run" for change in changes):
            found += [(cursor, "run", summary) for summary in self._summarise([run_id])]
        content = b"".join(encoded(*one) for one in found)
        return RunChanges(cursor, content, len(changes) == MOST_CHANGES)

    def summary(self, run_id: str) -> bytes:
        """Return the event with the run as the runs table shows it; nothing if it is not there."""
        return b"".join(content for _, content in self.summaries([run_id]))

    def summaries(self, run_ids: Sequence[str]) -> list[tuple[Any, bytes]]:
        """Return those of the runs that are there as the table shows them, each with its event."""
        return [(found, encoded(None, "run", found)) for found in self._summarise(run_ids)]


def encoded(cursor: int | None, kind: str, data: object) -> bytes:
    """Return one event as it is sent."""
    number = None if cursor is None else str(cursor)
    return format_sse_event(event=kind, data_str=json.dumps(data), id=number)


def _expand(
    tx: Transaction, run_id: str, cursor: int, kind: str, ref: dict[str, Any]
) -> list[Event]:
    if kind == "points":
        return _points(tx, run_id, cursor, ref)
    if kind == "verdicts":
        rows = verdicts.verdicts_of(tx, run_id, ref["from"], ref["to"])
        names = ("step", "phase", "score", "evidence")
        told = [{name: getattr(row, name) for name in names} for row in rows]
        return numbered(cursor, "verdict", told)
    if kind == "run":
        return []
    return [(cursor, kind, ref)]


def _points(tx: Transaction, run_id: str, cursor: int, ref: dict[str, Any]) -> list[Event]:
    key = ref["attempt_key"]
    number = base.attempt_numbers(runs.attempts_of(tx, run_id)).get(key, 0)
    found = points.of_attempt(tx, run_id, key, ref["from"], ref["to"])
    run = runs.get(tx, run_id)
    roles = role_series(points.names(tx, run_id), run.metadata if run else {})
    data = [{"step": s, "attempt": number, "metrics": roles.shown(v)} for s, v in found.items()]
    return numbered(cursor, "point", data)


def numbered(cursor: int, kind: str, data: list[dict[str, Any]]) -> list[Event]:
    """Return the events of one change, of this cursor, with their kind; only the last carries the cursor."""
    last = len(data) - 1
    return [(cursor if i == last else None, kind, one) for i, one in enumerate(data)]
