"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from typing import Any, Literal

from monitor.clock import when
from monitor.schemas.base import Json, Shape, columns
from monitor.store.access import deliveries
from monitor.store.access import webhooks as store
from monitor.webhooks.outbox import Topic

_TOKEN = ("id", "name", "scopes", "project", "run_id", "created_by", "revoked_by")
_TOKEN_TIMES = ("created_at", "last_used_at", "revoked_at")


class AuditEntry(Shape):
    at: str
    actor: str
    action: str
    target: str
    detail: Json


class Token(Shape):
    id: str
    name: str
    scopes: list[Literal["ingest", "read", "control", "admin"]]
    project: str | None
    run_id: str | None
    created_by: str
    revoked_by: str | None
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class Audit(Shape):
    audit: list[AuditEntry]


class Tokens(Shape):
    tokens: list[Token]


class NewToken(Token):
    token: str


def audit_entry(row: Any) -> dict[str, Any]:
    """Return an `AuditEntry`."""
    return {**columns(row, ("actor", "action", "target", "detail")), "at": when(row.at)}


def token(row: Any) -> dict[str, Any]:
    """Return a `Token`, without the hash of its secret."""
    times = {name: when(getattr(row, name)) for name in _TOKEN_TIMES}
    return {**columns(row, _TOKEN), **times}


class Webhook(Shape):
    id: str
    url: str
    topics: list[Topic]
    project: str | None
    created_at: str
    created_by: str
    waiting: int
    delivered: int
    dead: int


class NewWebhook(Webhook):
    secret: str


class Webhooks(Shape):
    webhooks: list[Webhook]


class RemovedWebhook(Shape):
    id: str
    dropped: int


class Delivery(Shape):
    id: str
    webhook_id: str
    run_id: str | None
    topic: str
    state: Literal["waiting", "sending", "delivered", "dead"]
    attempts: int
    next_at: str | None
    http_status: int | None
    error: str | None
    created_at: str
    ended_at: str | None


class Deliveries(Shape):
    deliveries: list[Delivery]


def webhook(row: store.WebhookRow, counts: dict[tuple[str, str], int]) -> Json:
    """Return a `Webhook`; `counts` says how many deliveries there are of each (webhook id, state)."""

    def number(*states: str) -> int:
        return sum(counts.get((row.id, state), 0) for state in states)

    return {
        "id": row.id,
        "url": row.url,
        "topics": row.topics,
        "project": row.project,
        "created_at": when(row.created_at),
        "created_by": row.created_by,
        "waiting": number("waiting", "sending"),
        "delivered": number("delivered"),
        "dead": number("dead"),
    }


def delivery(row: deliveries.DeliveryRow) -> Json:
    """Return a `Delivery`."""
    names = ("id", "webhook_id", "run_id", "topic", "state", "attempts", "http_status", "error")
    return {
        **{name: getattr(row, name) for name in names},
        "next_at": when(row.next_at) if row.state == "waiting" else None,
        "created_at": when(row.created_at),
        "ended_at": when(row.ended_at),
    }
