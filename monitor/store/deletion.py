"""Deleted runs, and purging: the rows of a run removed a few thousand at a time.

A purge begins with a row in `purged` and is finished by whoever finds it, after a crash as well.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)

from monitor.database.schema import (
    aliases,
    attempts,
    audit,
    blocks,
    boundaries,
    change_points,
    changes,
    checkpoints,
    commands,
    decisions,
    deliveries,
    evaluation_problems,
    evaluation_rows,
    evaluations,
    job_logs,
    jobs,
    points,
    purged,
    quarantine,
    run_search,
    run_summaries,
    run_values,
    runs,
    samples,
    series,
    verdicts,
    verifications,
)
from monitor.store import jobs as job_rows
from monitor.store import runs as run_rows
from monitor.store.runs import RunRow

POLICY = "policy"
_POLICY_ALIASES = ("pre-transition", "best")  # these the monitor moves by itself


def lock(connection: Connection, run_id: str) -> RunRow | None:
    """Return the run, locked with its jobs: these first, in the order in which a claim takes both."""
    job_rows.lock(connection, run_id)
    return run_rows.lock(connection, run_id)


def soft_delete(connection: Connection, run_id: str, now: float, by: str) -> None:
    """Mark a run as deleted, and end the jobs that wait for it."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(deleted_at=now, deleted_by=by)
    )
    connection.execute(
        update(jobs)
        .where(jobs.c.run_id == run_id, jobs.c.state.in_(("queued", "leased")))
        .values(state="failed", error="the run was deleted", finished_at=now, lease_until=None)
    )


def restore(connection: Connection, run_id: str) -> None:
    """Make a deleted run an ordinary one."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(deleted_at=None, deleted_by=None)
    )


def promoted(connection: Connection, run_id: str) -> list[str]:
    """Return the run's aliases that mean something to somebody: not those the monitor set itself."""
    rows = connection.execute(
        select(aliases.c.alias, aliases.c.author).where(aliases.c.run_id == run_id)
    )
    return sorted(
        row.alias for row in rows if row.author != POLICY or row.alias not in _POLICY_ALIASES
    )


def worker_of(connection: Connection, run_id: str, now: float) -> str | None:
    """Return the worker that is busy with the run, or None."""
    return connection.execute(
        select(jobs.c.worker)
        .where(jobs.c.run_id == run_id, jobs.c.state == "leased", jobs.c.lease_until >= now)
        .limit(1)
    ).scalar_one_or_none()


def tombstone(connection: Connection, run_id: str) -> Row[Any] | None:
    """Return who purged the run and when, or None."""
    return connection.execute(select(purged).where(purged.c.run_id == run_id)).one_or_none()


def begin_purge(connection: Connection, run_id: str, now: float, by: str) -> None:
    """Begin to purge: from here on there is no way back."""
    connection.execute(insert(purged).values(run_id=run_id, author=by, purged_at=now, rows=0))


def unfinished(connection: Connection) -> Sequence[str]:
    """Return the runs that are being purged, the first one first."""
    statement = select(purged.c.run_id).where(purged.c.done_at.is_(None))
    return connection.execute(statement.order_by(purged.c.purged_at)).scalars().all()


def expired(connection: Connection, before: float) -> Sequence[str]:
    """Return the runs that were deleted, and last heard of, before this time."""
    return (
        connection.execute(
            select(runs.c.id).where(
                runs.c.deleted_at < before, runs.c.last_contact_at < before, ~_is_purged()
            )
        )
        .scalars()
        .all()
    )


def old(connection: Connection, before: float, most: int = 100) -> Sequence[str]:
    """Return runs over since before this time that nobody promoted anything of, nor restored."""
    over_at = func.coalesce(runs.c.ended_at, runs.c.last_contact_at)
    kept = exists().where(
        aliases.c.run_id == runs.c.id,
        (aliases.c.author != POLICY) | aliases.c.alias.not_in(_POLICY_ALIASES),
    )
    restored = exists().where(audit.c.run_id == runs.c.id, audit.c.action == "restore")
    # What was synced long after its training has its time here, too, before it goes.
    synced = exists().where(attempts.c.run_id == runs.c.id, attempts.c.late_at >= before)
    statement = select(runs.c.id).where(
        over_at < before, runs.c.deleted_at.is_(None), ~kept, ~restored, ~synced
    )
    return connection.execute(statement.order_by(over_at).limit(most)).scalars().all()


def remove_some(connection: Connection, run_id: str, most: int, now: float) -> int:
    """Delete up to `most` rows of a run that is being purged and return how many; 0: it is gone."""
    for table, condition in _parts(run_id):
        count = _delete_some(connection, table, condition, most)
        if count:
            connection.execute(
                update(purged)
                .where(purged.c.run_id == run_id)
                .values(rows=purged.c.rows + count, done_at=now if table is runs else None)
            )
            return count
    return 0


def _parts(run_id: str) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return where a run's rows are, those that refer to others first."""
    of_series = select(series.c.id).where(series.c.run_id == run_id)
    of_evaluations = select(evaluations.c.id).where(evaluations.c.run_id == run_id)
    ended = deliveries.c.state.in_(("delivered", "dead"))
    whole = (
        evaluations,
        evaluation_problems,
        verifications,
        aliases,
        checkpoints,
        job_logs,
        jobs,
        commands,
        decisions,
        change_points,
        verdicts,
        quarantine,
        samples,
        boundaries,
        run_search,
        run_values,
        run_summaries,
    )
    return [
        (blocks, blocks.c.series_id.in_(of_series)),
        (points, points.c.series_id.in_(of_series)),
        (evaluation_rows, evaluation_rows.c.evaluation_id.in_(of_evaluations)),
        *((table, table.c.run_id == run_id) for table in whole),
        (series, series.c.run_id == run_id),
        (changes, changes.c.run_id == run_id),
        (attempts, attempts.c.run_id == run_id),
        (deliveries, (deliveries.c.run_id == run_id) & ended),
        (runs, runs.c.id == run_id),
    ]


def _delete_some(
    connection: Connection, table: Table, condition: ColumnElement[bool], most: int
) -> int:
    key = list(table.primary_key)
    some = select(*key).where(condition).limit(most)
    return connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount


def _is_purged() -> ColumnElement[bool]:
    """Return whether a run is being removed for good."""
    return exists().where(purged.c.run_id == runs.c.id)
