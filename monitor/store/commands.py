"""Commands to the trainer: open -> delivered -> agreed -> done, or refused or expired.

A command only walks forward. It may skip a state, because the word of one may be lost with its sender;
`done`, `refused` and `expired` are ends. Each pending state has a deadline, so that nothing waits for
ever for a trainer that is gone, and a trainer that comes back is not stopped by what is long forgotten.

`expired` is what the monitor concludes from silence. A trainer that says later, from a spool that came
late, that it did stop or that it refused knows better: its word replaces the conclusion.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, insert, select, update

from cusp.ids import new_id
from monitor.database.schema import commands

PENDING = ("open", "delivered", "agreed")
_ORDER = {"open": 0, "delivered": 1, "agreed": 2, "expired": 3, "done": 4, "refused": 4}

# Seconds until a command is agreed on, and again from there until it is done. `after_save` waits for
# the trainer's own next save, which may be hours away.
DEADLINE_S = {"graceful": 3_600.0, "after_save": 86_400.0}
# A verification holds a confirmed transition up, so it has less: from when it is asked for until it is delivered, from
# there until all ranks agree at the end of a step, and from there until it is done. That takes a few minutes for 512
# completions (128 problems for now and three earlier checkpoints) of 3,000 tokens.
VERIFY_DEADLINE_S = {"open": 600.0, "delivered": 600.0, "agreed": 1_800.0}

# Built once: SQLAlchemy takes longer to build a statement than to run one that it knows.
_PENDING = (
    select(commands)
    .where(commands.c.run_id == bindparam("run"), commands.c.state.in_(PENDING))
    .order_by(commands.c.id)
)
OF_RUN = select(commands).where(commands.c.run_id == bindparam("run")).order_by(commands.c.id)
_STOPPING = select(commands.c.run_id).where(
    commands.c.run_id.in_(bindparam("runs", expanding=True)),
    commands.c.state.in_(PENDING),
    commands.c.kind == "stop",
)


def add(
    connection: Connection,
    run_id: str,
    now: float,
    *,
    kind: str,
    reason: str,
    author: str,
    steps: Sequence[int] = (),
    mode: str = "graceful",
) -> Row[Any]:
    """Store a command and return it."""
    return connection.execute(
        insert(commands)
        .values(
            id=new_id(),
            run_id=run_id,
            kind=kind,
            mode=mode,
            steps=list(steps),
            reason=reason,
            author=author,
            state="open",
            created_at=now,
        )
        .returning(commands)
    ).one()


def get(connection: Connection, command_id: str) -> Row[Any] | None:
    """Return the command or None."""
    return connection.execute(select(commands).where(commands.c.id == command_id)).one_or_none()


def of_run(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the run's commands, oldest first."""
    return connection.execute(OF_RUN, {"run": run_id}).all()


def pending(connection: Connection, run_id: str, kind: str | None = None) -> Sequence[Row[Any]]:
    """Return the commands the trainer has not finished, oldest first."""
    found = connection.execute(_PENDING, {"run": run_id}).all()
    return [row for row in found if kind in (None, row.kind)]


def stopping(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """Return those of the runs that were told to stop and have not finished that."""
    if not run_ids:
        return set()
    return set(connection.execute(_STOPPING, {"runs": list(run_ids)}).scalars())


def advance(
    connection: Connection,
    run_id: str,
    command_id: str,
    now: float,
    *,
    state: str,
    step: int | None,
    reason: str | None,
) -> bool:
    """Move a command of the run forward, never back; return whether it moved."""
    earlier = [name for name, rank in _ORDER.items() if rank < _ORDER[state]]
    values: dict[str, Any] = {"state": state, "state_reason": reason}
    if step is not None:
        values["step"] = step
    stamp = f"{state}_at" if state in PENDING else "done_at"
    moved = connection.execute(
        update(commands)
        .where(
            commands.c.id == command_id,
            commands.c.run_id == run_id,
            commands.c.state.in_(earlier),
        )
        .values({**values, stamp: now})
    )
    return moved.rowcount == 1


def expires_at(row: Any) -> float | None:
    """Return when a pending command expires (UTC seconds), or None once it has ended."""
    if row.state not in PENDING:
        return None
    if row.kind == "verify":
        since = row.agreed_at or row.delivered_at or row.created_at
        return float(since + VERIFY_DEADLINE_S[row.state])
    return float((row.agreed_at or row.created_at) + DEADLINE_S[row.mode])


def overdue(connection: Connection, now: float) -> Sequence[Row[Any]]:
    """Return the pending commands whose deadline has passed, oldest first."""
    agreed, created, verify = (
        commands.c.agreed_at,
        commands.c.created_at,
        commands.c.kind == "verify",
    )
    plain = func.coalesce(agreed, created) + case(DEADLINE_S, value=commands.c.mode)
    sooner = func.coalesce(agreed, commands.c.delivered_at, created)
    late = case((verify, sooner + case(VERIFY_DEADLINE_S, value=commands.c.state)), else_=plain)
    return connection.execute(
        select(commands).where(commands.c.state.in_(PENDING), late < now).order_by(commands.c.id)
    ).all()


def expire(connection: Connection, run_id: str, now: float, reason: str) -> int:
    """End all pending commands of a run whose trainer is gone; return how many there were."""
    return connection.execute(
        update(commands)
        .where(commands.c.run_id == run_id, commands.c.state.in_(PENDING))
        .values(state="expired", state_reason=reason, done_at=now)
    ).rowcount


def expire_one(connection: Connection, row: Row[Any], now: float, reason: str) -> bool:
    """End one overdue command, unless it has moved since it was read; return whether it ended."""
    ended = connection.execute(
        update(commands)
        .where(commands.c.id == row.id, commands.c.state == row.state)
        .values(state="expired", state_reason=reason, done_at=now)
    )
    return ended.rowcount == 1


def lapsed(found: Sequence[Row[Any]], author: str, since: float) -> set[str]:
    """Return the kinds of which the author's last command expired and may be asked again.

    That is, when an attempt has begun since (`since`: when the latest one did), or no trainer had it.
    A stop is not asked again once somebody asked for another one.
    """
    last = {row.kind: row for row in found if row.author == author or row.kind == "stop"}
    return {
        kind
        for kind, row in last.items()
        if row.author == author and row.state == "expired"
        if row.created_at < since or row.delivered_at is None
    }


def released(found: Sequence[Row[Any]]) -> set[int]:
    """Return the steps that were let go and that nothing asked to keep since."""
    last = {
        step: row.kind
        for row in found
        for step in row.steps
        if row.kind in ("keep", "stop", "verify", "release")
    }
    return {step for step, kind in last.items() if kind == "release"}


def not_kept(found: Sequence[Row[Any]], author: str) -> set[int]:
    """Return the steps whose checkpoints the author asked to keep and the trainer refused to."""
    refused = [row for row in found if row.kind == "keep" and row.state == "refused"]
    return {step for row in refused if row.author == author for step in row.steps}


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many commands there are of each (kind, state)."""
    kind, state = commands.c.kind, commands.c.state
    found = connection.execute(select(kind, state, func.count()).group_by(kind, state))
    return {(row[0], row[1]): row[2] for row in found}
