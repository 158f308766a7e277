"""Workers: on which box each is, which recipes it knows, and when it was last heard of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from monitor.database.schema import workers
from monitor.database.upsert import insert_or_ignore

ALIVE_S = 120.0
"""How long a worker counts as there after its last word; it speaks every 30 s (trainer/jobs/presence.py)."""
FORGOTTEN_S = 86_400.0
MOST = 1_000


def seen(connection: Connection, row: dict[str, Any]) -> None:
    """Store that a worker is there, and forget those that were not for a day."""
    connection.execute(delete(workers).where(workers.c.seen_at < row["seen_at"] - FORGOTTEN_S))
    if not insert_or_ignore(connection, workers, [row]):
        values = {name: value for name, value in row.items() if name != "name"}
        connection.execute(update(workers).where(workers.c.name == row["name"]).values(**values))


def alive(connection: Connection, now: float) -> Sequence[Row[Any]]:
    """Return the workers that are there, by box and name."""
    statement = select(workers).where(workers.c.seen_at >= now - ALIVE_S).limit(MOST)
    return connection.execute(statement.order_by(workers.c.box, workers.c.name)).all()
