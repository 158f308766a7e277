"""Last, least and greatest value of each series of a run, stored for the columns and order of the runs table.

`monitor/background/summaries.py` keeps them: taken from the points when the table is read, 10,000 runs of
50,000 steps would be read for one page.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select

from monitor.database.schema import run_summaries, run_values, runs
from monitor.database.upsert import insert_or_update


class Extent(NamedTuple):
    """Last, least and greatest value of one series."""

    last: float
    low: float
    high: float


def stale(connection: Connection, most: int) -> Sequence[str]:
    """Return runs whose stored values are older than the run, at most so many."""
    statement = (
        select(runs.c.id)
        .outerjoin(run_summaries, run_summaries.c.run_id == runs.c.id)
        .where(
            or_(run_summaries.c.cursor.is_(None), run_summaries.c.cursor < runs.c.cursor),
            runs.c.deleted_at.is_(None),
        )
        .limit(most)
    )
    return connection.execute(statement).scalars().all()


def summary_state(connection: Connection, run_id: str) -> Row[Any] | None:
    """Return up to where the run's values are stored, or None."""
    statement = select(run_summaries).where(run_summaries.c.run_id == run_id)
    return connection.execute(statement).one_or_none()


def extents(connection: Connection, run_id: str) -> dict[str, Extent]:
    """Return the stored values of a run by the series' name."""
    statement = select(run_values.c.name, run_values.c.last, run_values.c.low, run_values.c.high)
    rows = connection.execute(statement.where(run_values.c.run_id == run_id))
    return {name: Extent(*values) for name, *values in rows}


def store(connection: Connection, state: Mapping[str, Any], found: Mapping[str, Extent]) -> None:
    """Store the values of a run in place of those before; `state` is its row of `run_summaries`."""
    run_id = state["run_id"]
    connection.execute(delete(run_values).where(run_values.c.run_id == run_id))
    rows = [{"run_id": run_id, "name": name, **one._asdict()} for name, one in found.items()]
    if rows:
        connection.execute(insert(run_values), rows)
    insert_or_update(connection, run_summaries, [dict(state)])


def newest_configs(
    connection: Connection, project: str | None, only: str | None, most: int
) -> Sequence[dict[str, Any]]:
    """Return the configurations of the newest runs, of a project or of one run."""
    statement = select(runs.c.config).where(runs.c.deleted_at.is_(None), *_of(project, only))
    newest = statement.order_by(runs.c.created_at.desc()).limit(most)
    return connection.execute(newest).scalars().all()


def names(connection: Connection, project: str | None, only: str | None) -> Sequence[str]:
    """Return the names of all series, of all runs, of those of a project, or of one run."""
    statement = select(run_values.c.name).distinct()
    if narrowed := _of(project, only):
        statement = statement.join(runs, runs.c.id == run_values.c.run_id).where(*narrowed)
    return connection.execute(statement).scalars().all()


def _of(project: str | None, only: str | None) -> list[ColumnElement[bool]]:
    given = [] if project is None else [runs.c.project == project]
    return given if only is None else [*given, runs.c.id == only]
