"""Tokens: only a hash of each secret is kept, so that the table opens nothing to who reads it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from monitor.database.schema import tokens

TokenRow = Row[Any]


def add(connection: Connection, row: dict[str, Any]) -> TokenRow:
    """Store a token and return it."""
    return connection.execute(insert(tokens).values(**row).returning(tokens)).one()


def get(connection: Connection, token_id: str) -> TokenRow | None:
    """Return the token, revoked or not, or None."""
    return connection.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()


def listed(connection: Connection, most: int = 1_000) -> Sequence[TokenRow]:
    """Return the newest tokens first, revoked ones too."""
    return connection.execute(select(tokens).order_by(tokens.c.id.desc()).limit(most)).all()


def used(connection: Connection, token_id: str, now: float) -> None:
    """Record when the token was last used."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))


def revoke(connection: Connection, token_id: str, now: float, by: str) -> TokenRow | None:
    """End the token for good and return it, or None if there is none; the first time stands."""
    connection.execute(
        update(tokens)
        .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by=by)
    )
    return get(connection, token_id)
