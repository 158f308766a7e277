"""Webhooks: adding, listing, removing, trying; the secret is in the answer that makes one, nowhere else."""

from fastapi import APIRouter
from pydantic import Field

from cusp.ids import new_id
from cusp.protocol.fields import Body, Id, Name
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.errors import Conflict, NotFound
from monitor.schemas.access import (
    Deliveries,
    Delivery,
    NewWebhook,
    RemovedWebhook,
    Webhooks,
    _delivery_view,
    _view,
)
from monitor.schemas.base import Json
from monitor.services import Service
from monitor.store.access import audit, deliveries
from monitor.store.access import webhooks as store
from monitor.webhooks import outbox
from monitor.webhooks.client import resolve, resolved
from monitor.webhooks.outbox import Topic
from monitor.webhooks.signing import new_secret
from monitor.webhooks.ssrf import checked, parse
from monitor.webhooks.url import Url

router = APIRouter(tags=["webhooks"])

MOST_WEBHOOKS = 50
LOOK_UP_S = 5.0


class WebhookRequest(Body):
    """Where to tell of which topics (default: all), of all runs or those of one project."""

    url: Url
    topics: list[Topic] = Field(
        default=list(outbox.TOPICS), min_length=1, max_length=len(outbox.TOPICS)
    )
    project: Name | None = None


@router.post(
    "/webhooks",
    status_code=201,
    dependencies=[needs("admin")],
    responses=answers(NewWebhook, 404, 409, status=201),
)
def add_webhook(
    asked: WebhookRequest, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Add a webhook; `secret` in the answer is shown this once.

    409 for a URL that points where the monitor would not send; 404 for a repeat of what was removed since.
    """
    _refuse_address(asked.url, service)

    def act(tx: Transaction) -> Json:
        if len(store.active(tx)) >= MOST_WEBHOOKS:
            raise Conflict(f"there are {MOST_WEBHOOKS} webhooks already; remove one first")
        now = service.clock()
        row = {
            "id": new_id(),
            "url": asked.url,
            "topics": sorted(set(asked.topics)),
            "project": asked.project,
            "secret": new_secret(),
            "created_at": now,
            "created_by": grant.name,
        }
        made = store.add(tx, row)
        detail = {"host": parse(asked.url).authority, "topics": row["topics"]}
        audit.add(
            tx, None, now, actor=grant.name, action="add webhook", target=made.id, detail=detail
        )
        return _view(made, {})

    answer = service.idempotent(key, ["add webhook", asked.model_dump()], act)
    with service.database.read() as tx:  # not in `answer`, which is stored under its key
        made = _webhook(tx, answer["id"])
    return {**answer, "secret": made.secret}


@router.get("/webhooks", dependencies=[needs("admin")], responses=answers(Webhooks))
def list_webhooks(service: ServiceDep) -> Json:
    """Return the webhooks without their secrets, oldest first."""
    with service.database.read() as tx:
        counts = deliveries.counts(tx)
        return {"webhooks": [_view(row, counts) for row in store.active(tx)]}


@router.delete(
    "/webhooks/{webhook_id}", dependencies=[needs("admin")], responses=answers(RemovedWebhook)
)
def remove_webhook(
    webhook_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """End a webhook, forget its secret, drop what waits for it."""

    def act(tx: Transaction) -> Json:
        now = service.clock()
        if not store.remove(tx, webhook_id, now, grant.name):
            raise NotFound(f"there is no webhook {webhook_id!r} here")
        dropped = deliveries.drop(tx, webhook_id, now, "the webhook was removed")
        audit.add(tx, None, now, actor=grant.name, action="remove webhook", target=webhook_id)
        return {"id": webhook_id, "dropped": dropped}

    return service.idempotent(key, ["remove webhook", webhook_id], act)


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=202,
    dependencies=[needs("admin")],
    responses=answers(Delivery, status=202),
)
def ping_webhook(
    webhook_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Put a `ping` into the webhook's outbox and return the delivery."""

    def act(tx: Transaction) -> Json:
        _webhook(tx, webhook_id)
        now = service.clock()
        made = outbox.enqueue(tx, webhook_id, outbox.PING, now, data={"author": grant.name})
        audit.add(tx, None, now, actor=grant.name, action="test webhook", target=webhook_id)
        return _delivery_view(_delivery(tx, webhook_id, made))

    return service.idempotent(key, ["test webhook", webhook_id], act)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    dependencies=[needs("admin")],
    responses=answers(Deliveries),
)
def list_deliveries(webhook_id: Id, service: ServiceDep) -> Json:
    """Return the newest hundred deliveries, what came of each and when the next try is."""
    with service.database.read() as tx:
        _webhook(tx, webhook_id)
        rows = deliveries.of_webhook(tx, webhook_id)
        return {"deliveries": [_delivery_view(row) for row in rows]}


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    dependencies=[needs("admin")],
    responses=answers(Delivery),
)
def get_delivery(webhook_id: Id, delivery_id: Id, service: ServiceDep) -> Json:
    """Return one delivery."""
    with service.database.read() as tx:
        return _delivery_view(_delivery(tx, webhook_id, delivery_id))


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
    status_code=202,
    dependencies=[needs("admin")],
    responses=answers(Delivery, 409, status=202),
)
def retry_delivery(
    webhook_id: Id,
    delivery_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    key: IdempotencyKey = None,
) -> Json:
    """Send a dead or delivered one again, the same bytes under the same id."""

    def act(tx: Transaction) -> Json:
        _webhook(tx, webhook_id)
        found = _delivery(tx, webhook_id, delivery_id)
        now = service.clock()
        row = deliveries.again(tx, delivery_id, now)
        if row is None:
            raise Conflict(f"the delivery is {found.state}; it is sent by itself")
        audit.add(tx, None, now, actor=grant.name, action="retry delivery", target=delivery_id)
        return _delivery_view(row)

    return service.idempotent(key, ["retry delivery", delivery_id], act)


def _refuse_address(url: str, service: Service) -> None:
    """Raise Refused for a URL that would never be sent to; the courier looks again at every try."""
    target = parse(url)
    checked(target, resolved(target, resolve, LOOK_UP_S), service.config.webhook_allow)


def _webhook(tx: Transaction, webhook_id: str) -> store.WebhookRow:
    row = store.get(tx, webhook_id)
    if row is None or row.removed_at is not None:
        raise NotFound(f"there is no webhook {webhook_id!r} here")
    return row


def _delivery(tx: Transaction, webhook_id: str, delivery_id: str) -> deliveries.DeliveryRow:
    row = deliveries.get(tx, delivery_id)
    if row is None or row.webhook_id != webhook_id:
        raise NotFound(f"webhook {webhook_id} has no delivery {delivery_id!r}")
    return row
