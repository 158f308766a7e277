"""Verdicts, change points and decisions of a run."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from cusp.ids import new_id
from monitor.database.schema import change_points, decisions, verdicts
from monitor.database.upsert import insert_or_ignore
from monitor.store.packed.blocks import driver_rows

LEVEL = "level"  # beside a verdict's evidence: the score that would have confirmed, where it is not the preset's

_ADD_VERDICTS = insert(verdicts)
# One statement for all rows: psycopg's executemany costs twice as much for a single one.
_ADD_POSTGRESQL = (
    "INSERT INTO verdicts (run_id, step, phase, score, evidence) SELECT * FROM"
    " unnest(%s::text[], %s::bigint[], %s::text[], %s::float8[], %s::json[])"
)
_ADD_ONE_POSTGRESQL = (
    "INSERT INTO verdicts (run_id, step, phase, score, evidence) VALUES (%s, %s, %s, %s, %s::json)"
)
NO_END = 2**62  # after every step
_SCORES = (
    select(verdicts.c.step, verdicts.c.score, verdicts.c.phase)
    .where(
        verdicts.c.run_id == bindparam("run"),
        verdicts.c.step.between(bindparam("since"), bindparam("until")),
    )
    .order_by(verdicts.c.step)
)
_AT = (
    select(verdicts)
    .where(
        verdicts.c.run_id == bindparam("run"),
        verdicts.c.step.in_(bindparam("steps", expanding=True)),
    )
    .order_by(verdicts.c.step)
)

CHANGE_POINTS = (
    select(change_points)
    .where(change_points.c.run_id == bindparam("run"))
    .order_by(change_points.c.step, change_points.c.seen_at_step)
)
DECISIONS = select(decisions).where(decisions.c.run_id == bindparam("run")).order_by(decisions.c.id)


def add_verdicts(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store verdict rows; those of the same steps were forgotten before."""
    if not rows:
        return
    if connection.dialect.name == "postgresql" and len(rows) == 1:
        (one,) = rows
        given = (one["run_id"], one["step"], one["phase"], one["score"])
        connection.exec_driver_sql(_ADD_ONE_POSTGRESQL, (*given, json.dumps(one["evidence"])))
    elif connection.dialect.name == "postgresql":
        columns = [[row[name] for row in rows] for name in ("run_id", "step", "phase", "score")]
        evidence = [json.dumps(row["evidence"]) for row in rows]
        connection.exec_driver_sql(_ADD_POSTGRESQL, (*columns, evidence))
    else:
        connection.execute(_ADD_VERDICTS, list(rows))


def forget_verdicts(connection: Connection, run_id: str, from_step: int) -> None:
    """Delete the verdicts from a step on."""
    connection.execute(
        delete(verdicts).where(verdicts.c.run_id == run_id, verdicts.c.step >= from_step)
    )


def verdicts_of(
    connection: Connection, run_id: str, since: int = 0, until: int | None = None
) -> Sequence[Row[Any]]:
    """Return the verdicts by step."""
    statement = select(verdicts).where(verdicts.c.run_id == run_id, verdicts.c.step >= since)
    if until is not None:
        statement = statement.where(verdicts.c.step <= until)
    return connection.execute(statement.order_by(verdicts.c.step)).all()


def scores_of(
    connection: Connection, run_id: str, since: int = 0, until: int = NO_END
) -> list[tuple[int, float, str]]:
    """Return (step, score, phase) of the verdicts by step: a tenth of the time that their evidence takes."""
    return driver_rows(connection, _SCORES, {"run": run_id, "since": since, "until": until})


def verdicts_at(connection: Connection, run_id: str, steps: Sequence[int]) -> Sequence[Row[Any]]:
    """Return the verdicts of these steps, by step."""
    return connection.execute(_AT, {"run": run_id, "steps": list(steps)}).all()


def change_points_of(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the change points by step."""
    return connection.execute(CHANGE_POINTS, {"run": run_id}).all()


def set_change_points(connection: Connection, run_id: str, found: Sequence[dict[str, Any]]) -> bool:
    """Make the stored change points equal to what the detector found; return whether any changed.

    One that a person judged keeps that judgement. One that is no longer found is gone, unless a
    person judged it.
    """
    stored = {(row.kind, row.seen_at_step): row for row in change_points_of(connection, run_id)}
    changed = False
    for new in found:
        old = stored.pop((new["kind"], new["seen_at_step"]), None)
        if old is None:
            row = {"id": new_id(), "run_id": run_id, "author": None, **new}
            insert_or_ignore(connection, change_points, [row])
            changed = True
        elif old.author is None and any(getattr(old, key) != new[key] for key in new):
            connection.execute(
                update(change_points).where(change_points.c.id == old.id).values(**new)
            )
            changed = True
    gone = [row.id for row in stored.values() if row.author is None]
    if gone:
        connection.execute(delete(change_points).where(change_points.c.id.in_(gone)))
    return changed or bool(gone)


def change_point(connection: Connection, change_point_id: str) -> Row[Any] | None:
    """Return the change point or None."""
    return connection.execute(
        select(change_points).where(change_points.c.id == change_point_id)
    ).one_or_none()


def review(
    connection: Connection, change_point_id: str, state: str, author: str
) -> Row[Any] | None:
    """Record a person's word on a change point and return it, or None if there is none."""
    return connection.execute(
        update(change_points)
        .where(change_points.c.id == change_point_id)
        .values(state=state, author=author)
        .returning(change_points)
    ).one_or_none()


def decisions_of(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the decisions, oldest first."""
    return connection.execute(DECISIONS, {"run": run_id}).all()


def add_decision(
    connection: Connection,
    run_id: str,
    now: float,
    *,
    finding: str,
    kind: str,
    reason: str,
    author: str,
    step: int | None = None,
    checkpoint_step: int | None = None,
) -> bool:
    """Store a decision; return whether it is the first of its kind on that finding."""
    row = {
        "id": new_id(),
        "run_id": run_id,
        "finding": finding,
        "kind": kind,
        "step": step,
        "checkpoint_step": checkpoint_step,
        "reason": reason,
        "author": author,
        "created_at": now,
    }
    return insert_or_ignore(connection, decisions, [row]) == 1
