"""Jobs for GPU boxes: claimed by conditional update, leased, fenced by a growing token."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from cusp.ids import new_id
from monitor.database.schema import job_logs, jobs
from monitor.errors import LeaseLost

LEASE_S = 60.0
MOST_ATTEMPTS = 3
STATES = ("queued", "leased", "done", "failed")


def add(
    connection: Connection, run_id: str, kind: str, payload: dict[str, Any], now: float
) -> Row[Any]:
    """Queue a job and return it."""
    return connection.execute(
        insert(jobs)
        .values(
            id=new_id(),
            run_id=run_id,
            kind=kind,
            payload=payload,
            state="queued",
            token=0,
            attempts=0,
            created_at=now,
        )
        .returning(jobs)
    ).one()


def add_done(
    connection: Connection,
    run_id: str,
    kind: str,
    payload: dict[str, Any],
    result: dict[str, Any],
    by: str,
    now: float,
) -> Row[Any]:
    """Keep what was done at once, by no worker, as a finished job and return it."""
    job = add(connection, run_id, kind, payload, now)
    done = {"state": "done", "worker": by, "result": result, "attempts": 1}
    return connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(started_at=now, finished_at=now, **done)
        .returning(jobs)
    ).one()


def waiting(connection: Connection, now: float, most: int = 1_000) -> Sequence[Row[Any]]:
    """Return the jobs that a worker could claim, oldest first."""
    statement = select(jobs).where(_free(now), jobs.c.attempts < MOST_ATTEMPTS).limit(most)
    return connection.execute(statement.order_by(jobs.c.created_at, jobs.c.id)).all()


def claim(
    connection: Connection,
    worker: str,
    kinds: Sequence[str],
    now: float,
    only: Sequence[str] | None = None,
) -> Row[Any] | None:
    """Give the oldest waiting job of these kinds, and of `only` these runs, to the worker, or None."""
    free = _free(now)
    oldest = (
        select(jobs.c.id)
        .where(jobs.c.kind.in_(list(kinds)), free, jobs.c.attempts < MOST_ATTEMPTS)
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(1)
    )
    if only is not None:
        oldest = oldest.where(jobs.c.run_id.in_(list(only)))
    if connection.dialect.name == "postgresql":
        oldest = oldest.with_for_update(skip_locked=True)
    return connection.execute(
        update(jobs)
        .where(jobs.c.id == oldest.scalar_subquery(), free)
        .values(
            state="leased",
            token=jobs.c.token + 1,
            attempts=jobs.c.attempts + 1,
            worker=worker,
            lease_until=now + LEASE_S,
            started_at=now,
            error=None,
        )
        .returning(jobs)
    ).one_or_none()


def lease_lost(job: Row[Any], now: float) -> bool:
    """Return whether the worker that has the job has not been heard of for a whole lease."""
    return bool(job.state == "leased" and job.lease_until < now)


def _free(now: float) -> ColumnElement[bool]:
    """Queued, or leased by a worker that has not been heard of for a whole lease and that nobody told to end it."""
    lost = and_(jobs.c.state == "leased", jobs.c.lease_until < now, jobs.c.cancelled_by.is_(None))
    return or_(jobs.c.state == "queued", lost)


def overdue(connection: Connection, now: float) -> Sequence[Row[Any]]:
    """Return the jobs that ran out of the lease of their last allowed attempt, or were cancelled in it."""
    return connection.execute(select(jobs).where(*_given_up(now))).all()


def give_up_one(connection: Connection, job: Row[Any], now: float) -> bool:
    """Fail a job that is `overdue`; return whether it was still so."""
    error = f"the worker was lost {MOST_ATTEMPTS} times; its log says why"
    if job.cancelled_by is not None:
        error = f"cancelled by {job.cancelled_by}; its worker was lost before it said that it ended"
    ended = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, *_given_up(now))
        .values(state="failed", finished_at=now, error=error)
    )
    return ended.rowcount == 1


def unclaimed(connection: Connection, kind: str, before: float) -> Sequence[Row[Any]]:
    """Return the jobs of a kind that have waited since before this time, for a first worker or for another one."""
    return connection.execute(select(jobs).where(*_unclaimed(kind, before))).all()


def end_unclaimed(
    connection: Connection, job: Row[Any], before: float, now: float, error: str
) -> bool:
    """Fail a job that still waits; return whether it did."""
    ended = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, *_unclaimed(job.kind, before))
        .values(state="failed", finished_at=now, error=error)
    )
    return ended.rowcount == 1


def _unclaimed(kind: str, before: float) -> list[ColumnElement[bool]]:
    queued = and_(jobs.c.state == "queued", jobs.c.created_at < before)
    lost = and_(jobs.c.state == "leased", jobs.c.lease_until < before)
    return [jobs.c.kind == kind, or_(queued, lost)]


def _given_up(now: float) -> list[ColumnElement[bool]]:
    last = or_(jobs.c.attempts >= MOST_ATTEMPTS, jobs.c.cancelled_by.is_not(None))
    return [jobs.c.state == "leased", jobs.c.lease_until < now, last]


def held(connection: Connection, job_id: str, token: int) -> Row[Any]:
    """Return the job that this token holds; LeaseLost otherwise."""
    statement = select(jobs).where(
        jobs.c.id == job_id, jobs.c.token == token, jobs.c.state == "leased"
    )
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise LeaseLost(f"job {job_id} is not yours any more (token {token}); drop what you have")
    return row


def heartbeat(
    connection: Connection, job_id: str, token: int, now: float, progress: dict[str, Any] | None
) -> Row[Any]:
    """Prolong the lease and return the job; LeaseLost if it is another worker's."""
    row = held(connection, job_id, token)
    values: dict[str, Any] = {"lease_until": now + LEASE_S}
    if progress is not None:
        values["progress"] = progress
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))
    return row


def finish(
    connection: Connection,
    job_id: str,
    token: int,
    now: float,
    *,
    state: str,
    error: str | None,
    result: dict[str, Any] | None,
) -> Row[Any]:
    """End the job and return it; LeaseLost if it is another worker's."""
    row = held(connection, job_id, token)
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(state=state, error=error, result=result, finished_at=now, lease_until=None)
    )
    return row


def lock(connection: Connection, run_id: str) -> None:
    """Lock the run's jobs."""
    if connection.dialect.name == "postgresql":
        statement = select(jobs.c.id).where(jobs.c.run_id == run_id).order_by(jobs.c.id)
        connection.execute(statement.with_for_update())


def get(connection: Connection, job_id: str) -> Row[Any] | None:
    """Return the job or None."""
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()


def of_run(connection: Connection, run_id: str | None, most: int = 200) -> Sequence[Row[Any]]:
    """Return jobs, newest first, of one run or of all."""
    statement = select(jobs).order_by(jobs.c.id.desc()).limit(most)
    if run_id is not None:
        statement = statement.where(jobs.c.run_id == run_id)
    return connection.execute(statement).all()


def pending(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the run's jobs that wait or are at work, oldest first."""
    waiting = jobs.c.state.in_(("queued", "leased"))
    statement = select(jobs).where(jobs.c.run_id == run_id, waiting)
    return connection.execute(statement.order_by(jobs.c.id)).all()


def counts(connection: Connection) -> dict[str, int]:
    """Return how many jobs are in each state; states without any are left out."""
    statement = select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)
    return {row.state: row.number for row in connection.execute(statement)}


def is_new_training(job: Row[Any]) -> bool:
    """Return whether the job begins a run (one that resumes a run has no recipe in its payload)."""
    return job.kind == "train" and "recipe" in job.payload


def _is_new_training() -> ColumnElement[bool]:
    return and_(jobs.c.kind == "train", jobs.c.payload["recipe"].as_string().is_not(None))


def new_trainings(connection: Connection, most: int = 50) -> Sequence[Row[Any]]:
    """Return the jobs that begin a run, newest first."""
    statement = select(jobs).where(_is_new_training()).order_by(jobs.c.id.desc()).limit(most)
    return connection.execute(statement).all()


def unfinished_trainings(connection: Connection) -> int:
    """Return how many jobs that begin a run wait for a worker or are at work."""
    waiting = jobs.c.state.in_(("queued", "leased"))
    statement = select(func.count()).select_from(jobs).where(_is_new_training(), waiting)
    return connection.execute(statement).scalar_one()


def cancel(connection: Connection, job_id: str, now: float, by: str, *, held: bool) -> bool:
    """Fail a job that no worker has, or with `held` also one that a worker has; return whether it was so."""
    there = jobs.c.state.in_(("queued", "leased")) if held else _free(now)
    ended = {"state": "failed", "error": f"cancelled by {by}", "finished_at": now}
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, there)
        .values(**ended, lease_until=None, cancelled_by=by)
    )
    return changed.rowcount == 1


def ask_to_end(connection: Connection, job_id: str, by: str) -> bool:
    """Note that the worker of a job is to end it; return whether one has it and nobody asked before."""
    asked = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == "leased", jobs.c.cancelled_by.is_(None))
        .values(cancelled_by=by)
    )
    return asked.rowcount == 1


def keep_log(
    connection: Connection, job: Row[Any], total: int, lines: Sequence[str], now: float
) -> None:
    """Keep the last lines of what the job's worker wrote since its claim, in place of those kept before."""
    values = {"total": total, "lines": "\n".join(lines), "updated_at": now}
    own = (job_logs.c.job_id == job.id, job_logs.c.token == job.token)
    # Whoever holds the job writes alone: `held` has its row locked.
    if not connection.execute(update(job_logs).where(*own).values(**values)).rowcount:
        key = {"job_id": job.id, "token": job.token, "run_id": job.run_id, "worker": job.worker}
        connection.execute(insert(job_logs).values(**key, **values))


def logs(connection: Connection, job_id: str) -> Sequence[Row[Any]]:
    """Return what the job's workers wrote last, a row for each claim that wrote something, the first one first."""
    statement = select(job_logs).where(job_logs.c.job_id == job_id).order_by(job_logs.c.token)
    return connection.execute(statement).all()
