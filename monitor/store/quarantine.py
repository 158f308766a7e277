"""Messages that could not be taken, each with its reason, bounded for each run."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    bindparam,
    case,
    cast,
    func,
    insert,
    or_,
    select,
)

from monitor.database.schema import attempts, quarantine
from monitor.database.upsert import insert_or_update

MORE = -1  # no message has this number: the row whose body says how many more were only counted

_COUNTED = case((quarantine.c.seq == MORE, cast(quarantine.c.body, BigInteger)), else_=1)
_COUNTS = (
    select(quarantine.c.run_id, func.sum(_COUNTED))
    .where(quarantine.c.run_id.in_(bindparam("runs", expanding=True)))
    .group_by(quarantine.c.run_id)
)
_TOTAL = (
    select(func.sum(_COUNTED))
    .where(quarantine.c.run_id == bindparam("run"))
    .scalar_subquery()
    .label("quarantined")
)
# Found by the primary key: no body is read or sorted but those of the newest.
_NEWEST = (
    select(*[column for column in quarantine.c if column.name != "run_id"])
    .where(quarantine.c.run_id == bindparam("run"), quarantine.c.seq != MORE)
    .order_by(quarantine.c.attempt_key.desc(), quarantine.c.seq.desc())
    .limit(bindparam("most"))
    .subquery()
)
_WITH_ATTEMPTS = (
    select(attempts, _TOTAL, *_NEWEST.c)
    .outerjoin(_NEWEST, _NEWEST.c.attempt_key == attempts.c.key)
    .where(attempts.c.run_id == bindparam("run"))
    .order_by(attempts.c.place)
)


class Attempts(NamedTuple):
    """A run's attempts in the order of their lives, and what of their messages was set aside.

    `latest` are the kept messages that came last, newest first; `total` counts all of them.
    """

    rows: Sequence[Row[Any]]
    latest: Sequence[Row[Any]]
    total: int


def with_attempts(connection: Connection, run_id: str, most: int) -> Attempts:
    """Return the run's attempts with `most` of its quarantined messages, in one statement."""
    found = connection.execute(_WITH_ATTEMPTS, {"run": run_id, "most": most}).all()
    kept = [row for row in found if row.seq is not None]
    return Attempts(
        rows=list({row.key: row for row in found}.values()),
        latest=sorted(kept, key=lambda row: (row.attempt_key, row.seq), reverse=True),
        total=int(found[0].quarantined or 0) if found else 0,
    )


def counts(connection: Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Return how many messages of each run were set aside, those that are only counted too."""
    found = connection.execute(_COUNTS, {"runs": list(run_ids)})
    return {run_id: int(count) for run_id, count in found}


def stored(connection: Connection, run_id: str) -> int:
    """Return how many messages of the run are kept here."""
    return connection.execute(
        select(func.count())
        .select_from(quarantine)
        .where(quarantine.c.run_id == run_id, quarantine.c.seq != MORE)
    ).scalar_one()


def add(connection: Connection, row: dict[str, Any]) -> None:
    """Store a message that could not be taken."""
    connection.execute(insert(quarantine).values(**row))


def count_more(connection: Connection, run_id: str, key: int, more: int, now: float) -> None:
    """Count messages that are not kept, as the run has set too many aside."""
    place = (quarantine.c.run_id == run_id, quarantine.c.attempt_key == key)
    before = connection.execute(
        select(quarantine.c.body).where(*place, quarantine.c.seq == MORE)
    ).scalar_one_or_none()
    row = {"run_id": run_id, "attempt_key": key, "seq": MORE, "at": now, "reason": ""}
    insert_or_update(connection, quarantine, [{**row, "body": str(int(before or 0) + more)}])


def after(
    connection: Connection, run_id: str, place: tuple[int, int], most: int
) -> Sequence[Row[Any]]:
    """Return the kept messages after (attempt key, number), in that order."""
    key, seq = place
    later = or_(
        quarantine.c.attempt_key > key,
        (quarantine.c.attempt_key == key) & (quarantine.c.seq > seq),
    )
    return connection.execute(
        select(quarantine)
        .where(quarantine.c.run_id == run_id, quarantine.c.seq != MORE, later)
        .order_by(quarantine.c.attempt_key, quarantine.c.seq)
        .limit(most)
    ).all()
