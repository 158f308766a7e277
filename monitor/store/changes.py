"""The numbered changes of a run: what the events stream replays."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, insert, select, update

from monitor.database.engine import touch
from monitor.database.schema import changes, runs

NO_END = 2**62  # beyond every cursor
News = tuple[str, dict[str, Any]]  # the kind of a change, and what it refers to

_APPEND = insert(changes)
# One statement for all rows, as in `monitor.store.verdicts`.
_APPEND_POSTGRESQL = (
    "INSERT INTO changes (run_id, cursor, kind, ref)"
    " SELECT %s, %s + number - 1, kind, ref"
    " FROM unnest(%s::text[], %s::json[]) WITH ORDINALITY AS new(kind, ref, number)"
)
_AFTER = (
    select(changes.c.cursor, changes.c.kind, changes.c.ref)
    .where(
        changes.c.run_id == bindparam("run"),
        changes.c.cursor > bindparam("after"),
        changes.c.cursor <= bindparam("upto"),
    )
    .order_by(changes.c.cursor)
    .limit(bindparam("most"))
)
_LAST = select(runs.c.cursor).where(runs.c.id == bindparam("run"))


def add_all(
    connection: Connection,
    run_id: str,
    news: Sequence[News],
    values: Mapping[str, Any] | None = None,
) -> int:
    """Append changes, set columns of the run in the same statement; return the last cursor.

    The run's row is locked by this; with news its viewers are woken after the commit.
    """
    given = {f"new_{name}": value for name, value in (values or {}).items()}
    statement = _setting(tuple(values or ()))
    found = connection.execute(statement, {"run": run_id, "by": len(news), **given})
    last = int(found.scalar_one())
    if news:
        first = last - len(news) + 1
        if connection.dialect.name == "postgresql":
            kinds, refs = [kind for kind, _ in news], [json.dumps(ref) for _, ref in news]
            connection.exec_driver_sql(_APPEND_POSTGRESQL, (run_id, first, kinds, refs))
        else:
            rows = [
                {"run_id": run_id, "cursor": cursor, "kind": kind, "ref": ref}
                for cursor, (kind, ref) in enumerate(news, first)
            ]
            connection.execute(_APPEND, rows)
        touch(connection, run_id)
    return last


@lru_cache(maxsize=64)
def _setting(names: tuple[str, ...]) -> Update:
    """Return the statement that moves the cursor and sets these columns; it takes long to build."""
    values = {name: bindparam(f"new_{name}", type_=runs.c[name].type) for name in names}
    return (
        update(runs)
        .where(runs.c.id == bindparam("run"))
        .values(cursor=runs.c.cursor + bindparam("by", type_=runs.c.cursor.type), **values)
        .returning(runs.c.cursor)
    )


def last(connection: Connection, run_id: str) -> int:
    """Return the cursor of the run's last change, 0 where there is none."""
    return int(connection.execute(_LAST, {"run": run_id}).scalar() or 0)


def after(
    connection: Connection, run_id: str, cursor: int, most: int = 500, upto: int = NO_END
) -> Sequence[Row[int, str, dict[str, Any]]]:
    """Return the changes after a cursor up to and with another, oldest first."""
    given = {"run": run_id, "after": cursor, "most": most, "upto": upto}
    return connection.execute(_AFTER, given).all()
