"""Runs and their attempts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, insert, select, update

from cusp.protocol.run import RunStart
from monitor.database.schema import attempts, commands, installation, runs
from monitor.database.upsert import insert_or_ignore
from monitor.store import run_list
from monitor.store.attempt_order import in_order
from monitor.store.commands import PENDING

AttemptRow = Row[Any]
RunRow = Row[Any]

# Built once: SQLAlchemy takes 60 us to build a statement and 20 us to run one that it knows.
_DATABASE = select(installation.c.id).scalar_subquery().label("database_id")
_RUN = select(runs, _DATABASE).where(runs.c.id == bindparam("run"))
_ATTEMPTS = select(attempts).where(attempts.c.run_id == bindparam("run")).order_by(attempts.c.place)
_ATTEMPTS_OF_ALL = (
    select(attempts)
    .where(attempts.c.run_id.in_(bindparam("runs", expanding=True)))
    .order_by(attempts.c.place)
)
# Whether there are commands that the trainer has not finished: of most runs there are none to read.
_PENDING = (
    select(commands.c.id)
    .where(commands.c.run_id == bindparam("run"), commands.c.state.in_(PENDING))
    .exists()
    .label("pending")
)
_ATTEMPTS_WITH_PENDING = (
    select(attempts, _PENDING)
    .where(attempts.c.run_id == bindparam("run"))
    .order_by(attempts.c.place)
)
# SQLite knows no FOR UPDATE and needs none: it has one writer.
_LOCKED = select(runs).where(runs.c.id == bindparam("run")).with_for_update()
_NEWEST = (
    select(
        attempts.c.id,
        attempts.c.next_seq,
        attempts.c.dropped,
        runs.c.last_contact_at,
        runs.c.deleted_at,
        runs.c.status,
        runs.c.verdict,
        _PENDING,
    )
    .join_from(attempts, runs, attempts.c.run_id == runs.c.id)
    .where(attempts.c.run_id == bindparam("run"))
    .order_by(attempts.c.place.desc())
    .limit(1)
)


class AttemptTaken(RuntimeError):
    """An attempt is announced under an id that an attempt of another run has."""


def announce(
    connection: Connection, start: RunStart, now: float, began_at: float | None = None
) -> bool:
    """Store the run and its attempt if they are new; return whether the attempt was.

    `began_at` is when the attempt began, by this monitor's clock (default: now). AttemptTaken is raised
    when the attempt is one of another run.
    """
    began_at = now if began_at is None else began_at
    heard_at = began_at if start.late else now
    row = {
        "id": start.run_id,
        "project": start.project,
        "name": start.name,
        "tags": list(start.tags),
        "config": start.config,
        "policy": start.policy.model_dump(),
        "metadata": start.metadata.model_dump(),
        "status": "running",
        "created_at": began_at,
        "last_contact_at": heard_at,
        "cursor": 0,
        "folds": 0,
    }
    if insert_or_ignore(connection, runs, [row]):
        run_list.make_findable(connection, start)
    run = lock(connection, start.run_id)
    known = attempt(connection, start.attempt_id)
    if known is not None and known.run_id != start.run_id:
        raise AttemptTaken(
            f"attempt {start.attempt_id} is one of another run; every process start needs a new attempt id"
        )
    if run is None or known is not None:
        return False
    if _add_attempt(connection, start, began_at, heard_at):
        change(
            connection,
            start.run_id,
            status="running",
            status_reason=None,
            ended_at=None,
            policy=start.policy.model_dump(),
            metadata=_metadata(start, run),
            config=start.config,
            folds=run.folds + 1,  # what the detector knows of the run may differ: fold anew
        )
    return True


def _metadata(start: RunStart, run: RunRow) -> dict[str, Any]:
    """Return the new attempt's metadata; roles and a price told before stay unless it tells its own."""
    metadata, before = start.metadata.model_dump(), run.metadata
    price = metadata["gpu_hourly_usd"]
    return {
        **metadata,
        "roles": metadata["roles"] or before.get("roles") or {},
        "gpu_hourly_usd": before.get("gpu_hourly_usd") if price is None else price,
    }


def _add_attempt(connection: Connection, start: RunStart, began_at: float, heard_at: float) -> bool:
    """Store the attempt at its place; return whether it is the newest."""
    known = [row.key for row in attempts_of(connection, start.run_id)]
    told = began_at if start.age_s is not None else None
    connection.execute(
        insert(attempts).values(
            id=start.attempt_id,
            run_id=start.run_id,
            key=max(known, default=0) + 1,
            place=len(known),
            after=start.after,
            late=start.late,
            next_seq=0,
            status="running",
            host=start.host,
            started_at=heard_at,
            last_contact_at=heard_at,
            skipped=0,
            dropped=0,
            lost=0,
            began_at=told,
            last_at=told,
        )
    )
    rows = {row.id: row for row in attempts_of(connection, start.run_id)}
    order = in_order(list(rows.values()))
    for place, attempt_id in enumerate(order):
        if rows[attempt_id].place != place:
            change_attempt(connection, attempt_id, {"place": place})
    return order[-1] == start.attempt_id


def lock(connection: Connection, run_id: str) -> RunRow | None:
    """Return the run, locked until the end of the transaction, or None."""
    return connection.execute(_LOCKED, {"run": run_id}).one_or_none()


def get(connection: Connection, run_id: str) -> RunRow | None:
    """Return the run or None; its `database_id` is that of the database it was read from."""
    return connection.execute(_RUN, {"run": run_id}).one_or_none()


def newly_lost(
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


def attempts_with_pending(connection: Connection, run_id: str) -> tuple[Sequence[AttemptRow], bool]:
    """Return `attempts_of`, and whether the run has commands that its trainer has not finished."""
    found = connection.execute(_ATTEMPTS_WITH_PENDING, {"run": run_id}).all()
    return found, bool(found and found[0].pending)


def attempts_by_run(
    connection: Connection, run_ids: Sequence[str]
) -> dict[str, Sequence[AttemptRow]]:
    """Return what `attempts_of` does, for many runs at once."""
    found: dict[str, list[AttemptRow]] = {run_id: [] for run_id in run_ids}
    for row in connection.execute(_ATTEMPTS_OF_ALL, {"runs": list(run_ids)}):
        found[row.run_id].append(row)
    return dict(found)


def newest_attempt(connection: Connection, run_id: str) -> str:
    """Return the id of the run's latest attempt."""
    return str(attempts_of(connection, run_id)[-1].id)


def change_attempt(connection: Connection, attempt_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of an attempt."""
    given = {f"new_{name}": value for name, value in values.items()}
    connection.execute(_setting(tuple(values)), {"attempt": attempt_id, **given})


@lru_cache(maxsize=64)
def _setting(names: tuple[str, ...]) -> Update:
    """Return the statement that sets these columns; it takes long to build."""
    values = {name: bindparam(f"new_{name}", type_=attempts.c[name].type) for name in names}
    return update(attempts).where(attempts.c.id == bindparam("attempt")).values(**values)


def mark_lost(connection: Connection, by: AttemptRow, now: float) -> None:
    """Note that the attempts before `by` have lost the run to it, and are lost if they have not ended.

    Those announced after it were told late: they are of the past, and lost nothing.
    """
    earlier = (attempts.c.run_id == by.run_id) & (attempts.c.place < by.place)
    connection.execute(
        update(attempts)
        .where(earlier, attempts.c.status == "running")
        .values(status="lost", status_reason="a later attempt of the run started")
    )
    connection.execute(
        update(attempts)
        .where(earlier, attempts.c.key < by.key, attempts.c.superseded_at.is_(None))
        .values(superseded_at=now)
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


def newest_with_run(connection: Connection, run_id: str) -> Any:
    """Return the run's latest attempt with what a heartbeat asks of both, or None."""
    return connection.execute(_NEWEST, {"run": run_id}).one_or_none()
