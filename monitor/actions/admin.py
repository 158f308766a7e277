"""What an administrator does: make and revoke tokens; add, try and remove webhooks."""

from collections.abc import Sequence
from typing import Any

from cusp.ids import new_id
from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.errors import Conflict, NotFound
from monitor.store.access import deliveries, tokens, webhooks
from monitor.webhooks import outbox
from monitor.webhooks.signing import new_secret
from monitor.webhooks.ssrf import parse

MOST_WEBHOOKS = 50


def create_token(
    tx: Transaction, now: float, author: str, *, token_id: str, secret_hash: str, **limits: Any
) -> Any:
    """Store a token and return its row; `limits` are its name, scopes, project and run_id."""
    row = {"id": token_id, "hash": secret_hash, **limits, "created_at": now, "created_by": author}
    made = tokens.add(tx, row)
    record(tx, "token.created", None, now, by=author, target=made.id, detail=limits)
    return made


def revoke_token(tx: Transaction, token_id: str, now: float, author: str) -> Any:
    """End a token for good and return its row; NotFound names the id."""
    row = tokens.revoke(tx, token_id, now, author)
    if row is None:
        raise NotFound(f"there is no token {token_id!r} here")
    detail = {"name": row.name}
    record(tx, "token.revoked", None, now, by=author, target=token_id, detail=detail)
    return row


def add_webhook(
    tx: Transaction,
    now: float,
    author: str,
    *,
    url: str,
    topics: Sequence[str],
    project: str | None,
) -> webhooks.WebhookRow:
    """Store a webhook with a new secret and return its row; Conflict when there are too many."""
    if len(webhooks.active(tx)) >= MOST_WEBHOOKS:
        raise Conflict(f"there are {MOST_WEBHOOKS} webhooks already; remove one first")
    row = {
        "id": new_id(),
        "url": url,
        "topics": sorted(set(topics)),
        "project": project,
        "secret": new_secret(),
        "created_at": now,
        "created_by": author,
    }
    made = webhooks.add(tx, row)
    detail = {"host": parse(url).authority, "topics": row["topics"]}
    record(tx, "webhook.added", None, now, by=author, target=made.id, detail=detail)
    return made


def remove_webhook(tx: Transaction, webhook_id: str, now: float, author: str) -> int:
    """End a webhook, forget its secret; return how many deliveries that waited for it were dropped."""
    if not webhooks.remove(tx, webhook_id, now, author):
        raise NotFound(f"there is no webhook {webhook_id!r} here")
    dropped = deliveries.drop(tx, webhook_id, now, "the webhook was removed")
    record(tx, "webhook.removed", None, now, by=author, target=webhook_id)
    return dropped


def ping_webhook(
    tx: Transaction, webhook_id: str, now: float, author: str
) -> deliveries.DeliveryRow:
    """Put a `ping` into the webhook's outbox and return the delivery."""
    webhook(tx, webhook_id)
    made = outbox.enqueue(tx, webhook_id, outbox.PING, now, data={"author": author})
    record(tx, "webhook.tested", None, now, by=author, target=webhook_id)
    return delivery(tx, webhook_id, made)


def retry_delivery(
    tx: Transaction, webhook_id: str, delivery_id: str, now: float, author: str
) -> deliveries.DeliveryRow:
    """Have a dead or delivered one sent again, the same bytes under the same id; Conflict for others."""
    webhook(tx, webhook_id)
    found = delivery(tx, webhook_id, delivery_id)
    row = deliveries.again(tx, delivery_id, now)
    if row is None:
        raise Conflict(f"the delivery is {found.state}; it is sent by itself")
    record(tx, "delivery.retried", None, now, by=author, target=delivery_id)
    return row


def webhook(tx: Transaction, webhook_id: str) -> webhooks.WebhookRow:
    """Return the webhook's row; NotFound names the id."""
    row = webhooks.get(tx, webhook_id)
    if row is None or row.removed_at is not None:
        raise NotFound(f"there is no webhook {webhook_id!r} here")
    return row


def delivery(tx: Transaction, webhook_id: str, delivery_id: str) -> deliveries.DeliveryRow:
    """Return the delivery's row; NotFound names both ids."""
    row = deliveries.get(tx, delivery_id)
    if row is None or row.webhook_id != webhook_id:
        raise NotFound(f"webhook {webhook_id} has no delivery {delivery_id!r}")
    return row
