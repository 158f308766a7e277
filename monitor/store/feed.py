"""The numbered changes of a run: what the events stream replays."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from monitor.store.schema import changes, runs


def add(connection: Connection, run_id: str, kind: str, ref: dict[str, Any]) -> int:
    """Append a change to the run's feed and return its cursor; the run's row is locked by this."""
    cursor = connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(cursor=runs.c.cursor + 1)
        .returning(runs.c.cursor)
    ).scalar_one()
    connection.execute(insert(changes).values(run_id=run_id, cursor=cursor, kind=kind, ref=ref))
    return int(cursor)


def section_changed(connection: Connection, run_id: str, section: str) -> None:
    """Say that one section of the run's page changed."""
    add(connection, run_id, "changed", {"section": section})


def after(
    connection: Connection, run_id: str, cursor: int, most: int = 500
) -> Sequence[Row[int, str, dict[str, Any]]]:
    """Return the changes after a cursor, oldest first."""
    return connection.execute(
        select(changes.c.cursor, changes.c.kind, changes.c.ref)
        .where(changes.c.run_id == run_id, changes.c.cursor > cursor)
        .order_by(changes.c.cursor)
        .limit(most)
    ).all()
