"""Projects: how many runs each has, how many train, of how many a checkpoint is kept."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, select

from monitor.database.schema import aliases, runs
from monitor.store import run_list
from monitor.store.run_list import Wanted

MOST = 1_000
NEWEST = 1_000  # runs whose cost is looked at: it is made of their attempts


def projects(connection: Connection, wanted: Wanted, *, silent_since: float) -> Sequence[Row[Any]]:
    """Return the projects, the one last heard of first."""
    kept = exists().where(
        aliases.c.run_id == runs.c.id, aliases.c.alias.in_(("pre-transition", "best"))
    )
    trains = and_(runs.c.status == "running", runs.c.last_contact_at >= silent_since)
    last = func.max(runs.c.last_contact_at).label("last_contact_at")
    statement = (
        select(
            runs.c.project,
            func.count().label("runs"),
            func.count().filter(trains).label("running"),
            func.count().filter(kept).label("kept"),
            last,
        )
        .where(*_given(wanted, silent_since))
        .group_by(runs.c.project)
        .order_by(last.desc(), runs.c.project)
        .limit(MOST)
    )
    return connection.execute(statement).all()


def newest(connection: Connection, wanted: Wanted) -> Sequence[str]:
    """Return the ids of the newest runs."""
    statement = select(runs.c.id).where(*_given(wanted, 0.0)).order_by(runs.c.created_at.desc())
    return connection.execute(statement.limit(NEWEST)).scalars().all()


def _given(wanted: Wanted, silent_since: float) -> list[Any]:
    return [*run_list.conditions(wanted, silent_since), runs.c.deleted_at.is_(None)]
