"""Webhooks: who is told of which topics. The secret leaves this module for signing only."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from monitor.database.schema import webhooks

WebhookRow = Row[Any]


def add(connection: Connection, row: dict[str, Any]) -> WebhookRow:
    """Store a webhook and return it."""
    return connection.execute(insert(webhooks).values(**row).returning(webhooks)).one()


def get(connection: Connection, webhook_id: str) -> WebhookRow | None:
    """Return the webhook, removed or not, or None."""
    return connection.execute(select(webhooks).where(webhooks.c.id == webhook_id)).one_or_none()


def active(connection: Connection) -> Sequence[WebhookRow]:
    """Return the webhooks that are not removed, oldest first."""
    statement = select(webhooks).where(webhooks.c.removed_at.is_(None)).order_by(webhooks.c.id)
    return connection.execute(statement).all()


def wanting(connection: Connection, topic: str, project: str | None) -> list[WebhookRow]:
    """Return the webhooks to be told of the topic for a run of this project."""
    return [
        row for row in active(connection) if topic in row.topics and row.project in (None, project)
    ]


def remove(connection: Connection, webhook_id: str, now: float, by: str) -> bool:
    """End the webhook and forget its secret; return whether it was there."""
    removed = connection.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook_id, webhooks.c.removed_at.is_(None))
        .values(removed_at=now, removed_by=by, secret="")
    )
    return removed.rowcount == 1
