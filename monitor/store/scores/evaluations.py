"""Evaluations: scores of a checkpoint, and the rows they were computed from."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from cusp.ids import new_id
from monitor.database.schema import evaluation_rows, evaluations
from monitor.database.upsert import insert_or_ignore
from monitor.store.scores import scored_rows

_OF_RUN = (
    select(evaluations)
    .where(evaluations.c.run_id == bindparam("run"))
    .order_by(evaluations.c.created_at, evaluations.c.id)
)
_REPORTED = (
    select(evaluations)
    .where(
        evaluations.c.run_id.in_(bindparam("runs", expanding=True)),
        evaluations.c.split == "report",
    )
    .order_by(evaluations.c.created_at, evaluations.c.id)
)


def add(
    connection: Connection,
    run_id: str,
    job_id: str,
    evaluation: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    now: float,
) -> bool:
    """Store one evaluation of a worker with its rows; False if this job had brought it already."""
    evaluation_id = new_id()
    head = {"id": evaluation_id, "job_id": job_id, "source": "worker", **evaluation}
    if not add_head(connection, run_id, head, now):
        return False
    scored_rows.add(connection, evaluation_id, rows)
    return True


def add_head(connection: Connection, run_id: str, head: dict[str, Any], now: float) -> bool:
    """Store one evaluation without rows; False if it is there already."""
    return (
        insert_or_ignore(connection, evaluations, [{"run_id": run_id, "created_at": now, **head}])
        == 1
    )


def get(connection: Connection, evaluation_id: str) -> Row[Any] | None:
    """Return the evaluation or None."""
    return connection.execute(
        select(evaluations).where(evaluations.c.id == evaluation_id)
    ).one_or_none()


def of_job(
    connection: Connection, job_id: str, step: int, task: str, split: str
) -> Row[Any] | None:
    """Return the evaluation that a job brought of this step, task and split, or None."""
    return connection.execute(
        select(evaluations).where(
            evaluations.c.job_id == job_id,
            evaluations.c.step == step,
            evaluations.c.task == task,
            evaluations.c.split == split,
        )
    ).one_or_none()


def change(connection: Connection, evaluation_id: str, **values: Any) -> None:
    """Set columns of an evaluation."""
    connection.execute(
        update(evaluations).where(evaluations.c.id == evaluation_id).values(**values)
    )


def grow(connection: Connection, evaluation_id: str, chars: int) -> None:
    """Count further characters of text."""
    connection.execute(
        update(evaluations)
        .where(evaluations.c.id == evaluation_id)
        .values(text_chars=evaluations.c.text_chars + chars)
    )


def link(connection: Connection, run_id: str, step: int, checkpoint_id: str) -> None:
    """Give posted scores of a step the checkpoint that was registered after them."""
    connection.execute(
        update(evaluations)
        .where(
            evaluations.c.run_id == run_id,
            evaluations.c.step == step,
            evaluations.c.job_id.is_(None),
            evaluations.c.checkpoint_id.is_(None),
        )
        .values(checkpoint_id=checkpoint_id)
    )


def count(connection: Connection, run_id: str) -> int:
    """Return how many evaluations a run has, former ones too."""
    return connection.execute(
        select(func.count()).select_from(evaluations).where(evaluations.c.run_id == run_id)
    ).scalar_one()


def of_run(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the newest evaluation of each (step, checkpoint, task, split), by step."""
    return _newest(connection.execute(_OF_RUN, {"run": run_id}).all())


def with_rows(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the newest evaluation that has rows of each (step, task, split), by step."""
    some = select(evaluation_rows.c.sample).where(
        evaluation_rows.c.evaluation_id == evaluations.c.id
    )
    newest: dict[tuple[int, str, str], Row[Any]] = {}
    for row in connection.execute(_OF_RUN.where(some.exists()), {"run": run_id}):
        newest[row.step, row.task, row.split] = row
    return sorted(newest.values(), key=lambda row: (row.step, row.task, row.split))


def reported(connection: Connection, run_ids: Sequence[str]) -> dict[str, Sequence[Row[Any]]]:
    """Return what `of_run` does of the report set, for many runs at once."""
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_REPORTED, {"runs": list(run_ids)}):
        found.setdefault(row.run_id, []).append(row)
    return {run_id: _newest(rows) for run_id, rows in found.items()}


def _newest(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    newest = {(row.step, row.checkpoint_id, row.task, row.split): row for row in rows}
    return sorted(newest.values(), key=lambda row: (row.step, row.task, row.split))
