"""Answers to acting requests by their Idempotency-Key."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from monitor.store.schema import answers


def get(connection: Connection, key: str) -> Row[Any] | None:
    """Return the answer given under this key before, or None."""
    return connection.execute(select(answers).where(answers.c.key == key)).one_or_none()


def add(
    connection: Connection, key: str, request: str, status: int, body: dict[str, Any], now: float
) -> None:
    """Remember an answer; `request` is a hash of what was asked."""
    connection.execute(
        insert(answers).values(key=key, request=request, status=status, body=body, at=now)
    )
