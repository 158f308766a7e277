"""Evaluations: scores of a checkpoint, and the rows they were computed from."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from cusp.ids import new_id
from monitor.database.schema import evaluation_rows, evaluations
from monitor.database.upsert import insert_or_ignore

_OF_RUN = (
    select(evaluations).where(evaluations.c.run_id == bindparam("run")).order_by(evaluations.c.id)
)
_REPORTED = (
    select(evaluations)
    .where(
        evaluations.c.run_id.in_(bindparam("runs", expanding=True)),
        evaluations.c.split == "report",
    )
    .order_by(evaluations.c.id)
)


def add(
    connection: Connection,
    run_id: str,
    job_id: str,
    evaluation: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    now: float,
) -> bool:
    """Store one evaluation with its rows; False if this job had brought it already."""
    evaluation_id = new_id()
    head = {
        "id": evaluation_id,
        "run_id": run_id,
        "job_id": job_id,
        "created_at": now,
        **evaluation,
    }
    if insert_or_ignore(connection, evaluations, [head]) != 1:
        return False
    insert_or_ignore(
        connection, evaluation_rows, [{"evaluation_id": evaluation_id, **row} for row in rows]
    )
    return True


def of_run(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the newest evaluation of each (step, checkpoint, task, split), by step."""
    return _newest(connection.execute(_OF_RUN, {"run": run_id}).all())


def reported(connection: Connection, run_ids: Sequence[str]) -> dict[str, Sequence[Row[Any]]]:
    """Return what `of_run` does of the report set, for many runs at once."""
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_REPORTED, {"runs": list(run_ids)}):
        found.setdefault(row.run_id, []).append(row)
    return {run_id: _newest(rows) for run_id, rows in found.items()}


def _newest(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    newest = {(row.step, row.checkpoint_id, row.task, row.split): row for row in rows}
    return sorted(newest.values(), key=lambda row: (row.step, row.task, row.split))
