"""Audit log: one row for every action, written in its transaction; outlives the run."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from cusp.ids import new_id
from monitor.database.schema import audit

REQUEST = "request"
MOST_SHOWN = 200
_POLICY = "policy"  # decides in the middle of a trainer's request, but nobody asked for it
# The client's address as uvicorn knows it; set by the guard, carried into the threads that answer.
ADDRESS: ContextVar[str] = ContextVar("address", default="")

OF_RUN = (
    select(audit)
    .where(audit.c.run_id == bindparam("run"))
    .order_by(audit.c.at.desc(), audit.c.id.desc())
    .limit(MOST_SHOWN)
)


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
    """Write one audit row; an act on no run has no run id. `detail` tells from where it was asked for."""
    asked_from = ADDRESS.get() if actor != _POLICY else ""
    connection.execute(
        insert(audit).values(
            id=new_id(),
            run_id=run_id,
            at=at,
            actor=actor,
            action=action,
            target=target,
            detail={**(detail or {}), **({"from": asked_from} if asked_from else {})},
        )
    )


def of_run(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the newest acts first."""
    return connection.execute(OF_RUN, {"run": run_id}).all()


def newest(
    connection: Connection, most: int = 500, *, before: str | None = None, requests: bool = False
) -> Sequence[Row[Any]]:
    """Return the newest acts of all first, those before the one with this id; requests if asked for."""
    statement = select(audit).order_by(audit.c.id.desc()).limit(most)
    if before is not None:
        statement = statement.where(audit.c.id < before)
    if not requests:
        statement = statement.where(audit.c.action != REQUEST)
    return connection.execute(statement).all()
