"""INSERT ... ON CONFLICT for both databases."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = postgresql.Insert | sqlite.Insert


def insert_or_ignore(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows that do not exist yet; for a single row, return whether it was new (1 or 0)."""
    if not rows:
        return 0
    statement = _insert(connection, table).on_conflict_do_nothing()
    # Drivers do not count the rows of an executemany; SQLAlchemy keeps an INSERT's count only on request.
    given = rows[0] if len(rows) == 1 else list(rows)
    options = {"preserve_rowcount": True}
    return connection.execute(statement, given, execution_options=options).rowcount


def insert_or_update(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keep: Sequence[str] = ()
) -> None:
    """Insert the rows; on a primary-key conflict, overwrite all columns except those in `keep`."""
    if not rows:
        return
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in (*key, *keep)}
    connection.execute(
        statement.on_conflict_do_update(index_elements=key, set_=changed), list(rows)
    )


def _insert(connection: Connection, table: Table) -> Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
