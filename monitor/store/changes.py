"""The numbered changes of a run: what the events stream replays."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Row,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from monitor.database.engine import touch
from monitor.database.schema import changes, runs

NO_END = 2**62  # beyond every cursor
News = tuple[str, dict[str, Any]]  # the kind of a change, and what it refers to

_APPEND = insert(changes)
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
    given |= {"run": run_id, "by": len(news)}
    names = tuple(values or ())
    if news and connection.dialect.name == "postgresql":
        given["news"] = json.dumps(news)
        last = max(connection.execute(_setting_and_appending(names), given).scalars())
    else:
        last = int(connection.execute(_setting(names), given).scalar_one())
        rows = [
            {"run_id": run_id, "cursor": cursor, "kind": kind, "ref": ref}
            for cursor, (kind, ref) in enumerate(news, last - len(news) + 1)
        ]
        if rows:
            connection.execute(_APPEND, rows)
    if news:
        touch(connection, run_id)
    return last


@lru_cache(maxsize=64)
def _setting(names: tuple[str, ...]) -> ReturningUpdate[int]:
    """Return the statement that moves the cursor and sets these columns; it takes long to build."""
    values = {name: bindparam(f"new_{name}", type_=runs.c[name].type) for name in names}
    return (
        update(runs)
        .where(runs.c.id == bindparam("run"))
        .values(cursor=runs.c.cursor + bindparam("by", type_=runs.c.cursor.type), **values)
        .returning(runs.c.cursor)
    )


@lru_cache(maxsize=64)
def _setting_and_appending(names: tuple[str, ...]) -> ReturningInsert[int]:
    """Return the statement of PostgreSQL that also appends the changes, numbered up to the new cursor."""
    moved = _setting(names).cte("moved")
    # As one text: the driver takes as long for a list of texts as for the rest of the statement.
    news = func.json_array_elements(cast(bindparam("news", type_=Text), JSON))
    each = news.table_valued(column("value", JSON), with_ordinality="number")
    new = each.render_derived(name="new")
    numbered = select(
        bindparam("run", type_=runs.c.id.type),
        moved.c.cursor - bindparam("by", type_=runs.c.cursor.type) + new.c.number,
        new.c.value[0].as_string(),
        new.c.value[1],
    ).select_from(moved.join(new, true()))
    return (
        insert(changes)
        .from_select(["run_id", "cursor", "kind", "ref"], numbered)
        .returning(changes.c.cursor)
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
