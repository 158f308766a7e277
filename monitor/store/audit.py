"""Who did what: one row for every act, in the transaction of the act. It outlives the run."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from cusp.ids import new_id
from monitor.store.schema import audit


def add(
    connection: Connection,
    run_id: str | None,
    at: float,
    *,
    actor: str,
    action: str,
    target: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one audit row; an act on no run has no run id."""
    connection.execute(
        insert(audit).values(
            id=new_id(),
            run_id=run_id,
            at=at,
            actor=actor,
            action=action,
            target=target,
            detail=detail or {},
        )
    )


def of_run(connection: Connection, run_id: str, most: int = 200) -> Sequence[Row[Any]]:
    """Return the newest acts first."""
    return connection.execute(
        select(audit)
        .where(audit.c.run_id == run_id)
        .order_by(audit.c.at.desc(), audit.c.id.desc())
        .limit(most)
    ).all()


def newest(connection: Connection, most: int = 500) -> Sequence[Row[Any]]:
    """Return the newest acts of all first."""
    return connection.execute(
        select(audit).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(most)
    ).all()
