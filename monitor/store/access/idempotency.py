"""Answers to acting requests by their Idempotency-Key, kept for a week."""

from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from monitor.database.schema import answers
from monitor.database.upsert import insert_or_ignore

KEPT_S = 7 * 86_400.0
_UNDER_WAY = 0


def get(connection: Connection, key: str) -> Row[Any] | None:
    """Return the answer given under this key before, or None."""
    return connection.execute(select(answers).where(answers.c.key == key)).one_or_none()


def reserve(connection: Connection, key: str, request: str, now: float) -> bool:
    """Take the key for this transaction; False if it was taken, after waiting for whoever had it.

    `request` is a hash of what is asked. On PostgreSQL the second of two that come at once waits here
    until the first has committed its answer, or has failed and left the key free.
    """
    row = {"key": key, "request": request, "status": _UNDER_WAY, "body": {}, "at": now}
    return insert_or_ignore(connection, answers, [row]) == 1


def complete(connection: Connection, key: str, body: dict[str, Any]) -> None:
    """Remember the answer under the key taken."""
    done = {"status": 200, "body": body}
    connection.execute(update(answers).where(answers.c.key == key).values(**done))


def has_older(connection: Connection, now: float) -> bool:
    """Return whether any answer is older than what is kept."""
    old = select(answers.c.key).where(answers.c.at < now - KEPT_S).limit(1)
    return connection.execute(old).first() is not None


def forget_older(connection: Connection, now: float) -> None:
    """Delete the answers older than what is kept."""
    connection.execute(delete(answers).where(answers.c.at < now - KEPT_S))
