"""Runs and their attempts."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from cusp.wire import RunStart
from monitor.store import run_list
from monitor.store.schema import attempts, runs
from monitor.store.upsert import insert_or_ignore

AttemptRow = Row[Any]
RunRow = Row[Any]

# Built once: SQLAlchemy takes 60 us to build a statement and 20 us to run one that it knows.
_RUN = select(runs).where(runs.c.id == bindparam("run"))
_ATTEMPTS = select(attempts).where(attempts.c.run_id == bindparam("run")).order_by(attempts.c.id)
_ATTEMPTS_OF_ALL = (
    select(attempts)
    .where(attempts.c.run_id.in_(bindparam("runs", expanding=True)))
    .order_by(attempts.c.id)
)


def announce(connection: Connection, start: RunStart, now: float) -> bool:
    """Store the run and its attempt if they are new; return whether the attempt was."""
    row = {
        "id": start.run_id,
        "project": start.project,
        "name": start.name,
        "tags": list(start.tags),
        "config": start.config,
        "policy": start.policy.model_dump(),
        "metadata": start.metadata.model_dump(),
        "status": "running",
        "created_at": now,
        "last_contact_at": now,
        "cursor": 0,
        "folds": 0,
    }
    if insert_or_ignore(connection, runs, [row]):
        run_list.make_findable(connection, start)
    run = lock(connection, start.run_id)
    if run is None or attempt(connection, start.attempt_id) is not None:
        return False
    key = connection.execute(
        select(func.coalesce(func.max(attempts.c.key), 0) + 1).where(
            attempts.c.run_id == start.run_id
        )
    ).scalar_one()
    connection.execute(
        insert(attempts).values(
            id=start.attempt_id,
            run_id=start.run_id,
            key=key,
            next_seq=0,
            status="running",
            host=start.host,
            started_at=now,
            last_contact_at=now,
            skipped=0,
            dropped=0,
            lost=0,
        )
    )
    if start.attempt_id == newest_attempt(connection, start.run_id):
        change(
            connection,
            start.run_id,
            status="running",
            status_reason=None,
            ended_at=None,
            policy=start.policy.model_dump(),
            metadata=start.metadata.model_dump(),
            config=start.config,
            folds=run.folds + 1,  # what the detector knows of the run may differ: fold anew
        )
    return True


def lock(connection: Connection, run_id: str) -> RunRow | None:
    """Return the run, locked until the end of the transaction (SQLite has one writer anyway)."""
    statement = select(runs).where(runs.c.id == run_id)
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update()
    return connection.execute(statement).one_or_none()


def get(connection: Connection, run_id: str) -> RunRow | None:
    """Return the run or None."""
    return connection.execute(_RUN, {"run": run_id}).one_or_none()


def fallen_silent(
    connection: Connection, then: float, now: float, lost_after_s: float
) -> Sequence[str]:
    """Return the running runs that became `lost` after `then` and until `now`."""
    last = runs.c.last_contact_at
    return (
        connection.execute(
            select(runs.c.id).where(
                runs.c.status == "running", last >= then - lost_after_s, last < now - lost_after_s
            )
        )
        .scalars()
        .all()
    )


def change(connection: Connection, run_id: str, **values: Any) -> None:
    """Set columns of a run."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def attempt(connection: Connection, attempt_id: str) -> AttemptRow | None:
    """Return the attempt or None."""
    return connection.execute(select(attempts).where(attempts.c.id == attempt_id)).one_or_none()


def attempts_of(connection: Connection, run_id: str) -> Sequence[AttemptRow]:
    """Return the attempts of a run in the order of their lives."""
    return connection.execute(_ATTEMPTS, {"run": run_id}).all()


def attempts_by_run(
    connection: Connection, run_ids: Sequence[str]
) -> dict[str, Sequence[AttemptRow]]:
    """Return what `attempts_of` does, for many runs at once."""
    found: dict[str, list[AttemptRow]] = {run_id: [] for run_id in run_ids}
    for row in connection.execute(_ATTEMPTS_OF_ALL, {"runs": list(run_ids)}):
        found[row.run_id].append(row)
    return dict(found)


def newest_attempt(connection: Connection, run_id: str) -> str:
    """Return the id of the run's latest attempt; ids are time-ordered."""
    newest = select(func.max(attempts.c.id)).where(attempts.c.run_id == run_id)
    return str(connection.execute(newest).scalar_one())


def change_attempt(connection: Connection, attempt_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of an attempt."""
    connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(**values))


def forsake(connection: Connection, run_id: str, but: str) -> None:
    """Mark the attempts before `but` that never said how they ended as lost."""
    connection.execute(
        update(attempts)
        .where(attempts.c.run_id == run_id, attempts.c.id < but, attempts.c.status == "running")
        .values(status="lost", status_reason="a later attempt of the run started")
    )


def owner(rows: Sequence[AttemptRow], step: int) -> str:
    """Return the id of the attempt whose value of a step counts, the latest that reached it.

    `rows` are in the order of their lives; the first one has what nobody reached.
    """
    reached = [row for row in rows if row.first_step is not None and row.first_step <= step]
    return str((reached or rows)[-1 if reached else 0].id)


def cuts(rows: Sequence[AttemptRow]) -> dict[int, int]:
    """Return for each attempt key the step from which later attempts supersede it.

    A resumed attempt supersedes everything from the first step it logged: the rest of the earlier
    attempt is an abandoned branch. `rows` are in the order of their lives.
    """
    cut, result = 2**62, {}
    for row in reversed(rows):
        result[row.key] = cut
        if row.first_step is not None:
            cut = min(cut, row.first_step)
    return result
