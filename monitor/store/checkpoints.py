"""Registered checkpoints and the aliases that point at them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, case, func, or_, select

from cusp.protocol.messages import CheckpointMessage
from monitor.database.schema import aliases, attempts, checkpoints, runs
from monitor.database.upsert import insert_or_update
from monitor.errors import AliasMoved

FRESH_S = 60.0

_ALIASED = (
    select(aliases.c.run_id, aliases.c.alias, checkpoints.c.id, checkpoints.c.step)
    .join(checkpoints, aliases.c.checkpoint_id == checkpoints.c.id)
    .where(aliases.c.run_id.in_(bindparam("runs", expanding=True)))
    .order_by(aliases.c.alias)
)
_WITH_ALIASES = (
    select(checkpoints, aliases.c.alias, aliases.c.moved_at)
    .outerjoin(
        aliases,
        and_(aliases.c.run_id == checkpoints.c.run_id, aliases.c.checkpoint_id == checkpoints.c.id),
    )
    .where(checkpoints.c.run_id == bindparam("run"))
    .order_by(checkpoints.c.step, checkpoints.c.id, aliases.c.alias)
)


class Registered(NamedTuple):
    """A run's checkpoints by step, then by age, and where its aliases point.

    `moved_at` is when the last alias of a checkpoint (id) was pointed at it.
    """

    rows: Sequence[Row[Any]]
    aliases: dict[str, Row[Any]]
    moved_at: dict[str, float]


def add(
    connection: Connection,
    run_id: str,
    key: int,
    message: CheckpointMessage,
    now: float,
    *,
    released: bool = False,
) -> bool:
    """Register a checkpoint or its new state; return whether it is new.

    A pinned one stays pinned, unless the trainer was told to let it go (`released`). It belongs to the
    earliest attempt that tells of it, whichever is heard first.
    """
    known = get(connection, message.checkpoint_id)
    if known is not None and known.run_id != run_id:
        return False
    if known is not None and known.attempt_key != key:
        key = _earlier(connection, run_id, known.attempt_key, key)
    was_pinned = bool(known and known.pinned) and not released
    pinned = message.state == "pinned" or was_pinned
    row = {
        "id": message.checkpoint_id,
        "run_id": run_id,
        "attempt_key": key,
        "step": message.step,
        "path": known.path if known and was_pinned and message.state != "pinned" else message.path,
        "sha256": message.sha256,
        "bytes": message.bytes,
        "state": "pinned" if pinned and message.state == "present" else message.state,
        "pinned": pinned,
        "created_at": now,
        "checked_at": now,
    }
    insert_or_update(connection, checkpoints, [row], keep=("created_at",))
    return known is None


def _earlier(connection: Connection, run_id: str, *keys: int) -> int:
    """Return the key of the attempt that lived first."""
    statement = select(attempts.c.key).where(attempts.c.run_id == run_id, attempts.c.key.in_(keys))
    return int(connection.execute(statement.order_by(attempts.c.place).limit(1)).scalar_one())


def get(connection: Connection, checkpoint_id: str) -> Row[Any] | None:
    """Return the checkpoint or None."""
    return connection.execute(
        select(checkpoints).where(checkpoints.c.id == checkpoint_id)
    ).one_or_none()


def of_run(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return all checkpoints of the run, by step, then by age."""
    return connection.execute(
        select(checkpoints)
        .where(checkpoints.c.run_id == run_id)
        .order_by(checkpoints.c.step, checkpoints.c.id)
    ).all()


def with_aliases(connection: Connection, run_id: str) -> Registered:
    """Return the run's checkpoints with their aliases, in one statement."""
    found = connection.execute(_WITH_ALIASES, {"run": run_id}).all()
    named = sorted((row for row in found if row.alias is not None), key=lambda row: row.alias)
    moved: dict[str, float] = {}
    for row in named:
        moved[row.id] = max(row.moved_at, moved.get(row.id, row.moved_at))
    rows = {row.id: row for row in found}
    return Registered(list(rows.values()), {row.alias: row for row in named}, moved)


def remains_by_run(
    connection: Connection, run_ids: Sequence[str]
) -> dict[str, tuple[int, int, int]]:
    """Return for each of the runs how many checkpoints are on a box, how many pinned, their bytes."""
    there = checkpoints.c.state.in_(("present", "pinned"))
    pinned = func.sum(case((checkpoints.c.pinned, 1), else_=0))
    statement = (
        select(checkpoints.c.run_id, func.count(), pinned, func.sum(checkpoints.c.bytes))
        .where(checkpoints.c.run_id.in_(run_ids), there)
        .group_by(checkpoints.c.run_id)
    )
    found = {
        row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in connection.execute(statement)
    }
    return {run_id: found.get(run_id, (0, 0, 0)) for run_id in run_ids}


def aliases_of(connection: Connection, run_id: str) -> dict[str, str]:
    """Return {alias: checkpoint id} of the run."""
    rows = connection.execute(
        select(aliases.c.alias, aliases.c.checkpoint_id).where(aliases.c.run_id == run_id)
    )
    return {row.alias: row.checkpoint_id for row in rows}


def aliased_by_run(
    connection: Connection, run_ids: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return for each of the runs {alias: {id, step}} of the checkpoints that an alias points at."""
    found: dict[str, dict[str, dict[str, Any]]] = {run_id: {} for run_id in run_ids}
    for row in connection.execute(_ALIASED, {"runs": list(run_ids)}):
        found[row.run_id][row.alias] = {"id": row.id, "step": row.step}
    return found


def moves(connection: Connection, run_id: str) -> dict[str, float]:
    """Return {checkpoint id: when an alias of the run was last pointed at it}."""
    last = func.max(aliases.c.moved_at).label("at")
    statement = select(aliases.c.checkpoint_id, last).where(aliases.c.run_id == run_id)
    rows = connection.execute(statement.group_by(aliases.c.checkpoint_id))
    return {row.checkpoint_id: row.at for row in rows}


def verified(row: Any, moved_at: float | None) -> bool:
    """Return whether its box has hashed the files since an alias was pointed at them.

    A look up to `FRESH_S` before counts, too.
    """
    there = row.state in ("present", "pinned") and row.checked_at is not None
    return there and (moved_at is None or row.checked_at >= moved_at - FRESH_S)


def unverified(connection: Connection, most: int = 1_000) -> Sequence[Row[Any]]:
    """Return checkpoints that an alias points at, with their project, that a box has to look at.

    None has hashed them since, or they have no place of their own yet. The last pointed at come first;
    those of deleted runs are left out.
    """
    last = func.max(aliases.c.moved_at)
    stale = or_(checkpoints.c.checked_at.is_(None), checkpoints.c.checked_at < last - FRESH_S)
    return connection.execute(
        select(checkpoints, runs.c.project)
        .join(aliases, aliases.c.checkpoint_id == checkpoints.c.id)
        .join(runs, runs.c.id == checkpoints.c.run_id)
        .where(checkpoints.c.state.in_(("present", "pinned")), runs.c.deleted_at.is_(None))
        .group_by(checkpoints.c.id, runs.c.project)
        .having(or_(stale, checkpoints.c.pinned.is_(False)))
        .order_by(last.desc(), checkpoints.c.id)
        .limit(most)
    ).all()


def move_alias(
    connection: Connection,
    run_id: str,
    alias: str,
    checkpoint_id: str,
    now: float,
    *,
    author: str,
    expected: str | bool | None = True,
) -> str | None:
    """Point the alias at the checkpoint and return where it pointed before.

    `expected` is the checkpoint id (or None for nowhere) the caller believes it points at; True does
    not care. AliasMoved is raised when that is wrong. The caller holds the run's lock.
    """
    current = aliases_of(connection, run_id).get(alias)
    if expected is not True and expected != current:
        raise AliasMoved(alias, current)
    row = {
        "run_id": run_id,
        "alias": alias,
        "checkpoint_id": checkpoint_id,
        "author": author,
        "moved_at": now,
    }
    insert_or_update(connection, aliases, [row])
    return current
