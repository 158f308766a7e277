"""Webhooks: adding, listing, removing, trying; the secret is in the answer that makes one, nowhere else."""

from fastapi import APIRouter
from pydantic import Field

from cusp.protocol.fields import Body, Id, Name
from monitor.actions import admin
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.schemas.access import (
    Deliveries,
    Delivery,
    NewWebhook,
    RemovedWebhook,
    Webhooks,
    delivery,
    webhook,
)
from monitor.schemas.base import Json
from monitor.services import Service
from monitor.store.access import deliveries
from monitor.store.access import webhooks as store
from monitor.webhooks import outbox
from monitor.webhooks.client import resolve, resolved
from monitor.webhooks.outbox import Topic
from monitor.webhooks.ssrf import checked, parse
from monitor.webhooks.url import Url

router = APIRouter(tags=["webhooks"])

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
        return webhook(admin.add_webhook(tx, service.clock(), grant.name, **asked.model_dump()), {})

    answer = service.idempotent(key, ["add webhook", asked.model_dump()], act)
    with service.database.read() as tx:  # not in `answer`, which is stored under its key
        made = admin.webhook(tx, answer["id"])
    return {**answer, "secret": made.secret}


@router.get("/webhooks", dependencies=[needs("admin")], responses=answers(Webhooks))
def list_webhooks(service: ServiceDep) -> Json:
    """Return the webhooks without their secrets, oldest first."""
    with service.database.read() as tx:
        counts = deliveries.counts(tx)
        return {"webhooks": [webhook(row, counts) for row in store.active(tx)]}


@router.delete(
    "/webhooks/{webhook_id}", dependencies=[needs("admin")], responses=answers(RemovedWebhook)
)
def remove_webhook(
    webhook_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """End a webhook, forget its secret, drop what waits for it."""

    def act(tx: Transaction) -> Json:
        dropped = admin.remove_webhook(tx, webhook_id, service.clock(), grant.name)
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
        return delivery(admin.ping_webhook(tx, webhook_id, service.clock(), grant.name))

    return service.idempotent(key, ["test webhook", webhook_id], act)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    dependencies=[needs("admin")],
    responses=answers(Deliveries),
)
def list_deliveries(webhook_id: Id, service: ServiceDep) -> Json:
    """Return the newest hundred deliveries, what came of each and when the next try is."""
    with service.database.read() as tx:
        admin.webhook(tx, webhook_id)
        rows = deliveries.of_webhook(tx, webhook_id)
        return {"deliveries": [delivery(row) for row in rows]}


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    dependencies=[needs("admin")],
    responses=answers(Delivery),
)
def get_delivery(webhook_id: Id, delivery_id: Id, service: ServiceDep) -> Json:
    """Return one delivery."""
    with service.database.read() as tx:
        return delivery(admin.delivery(tx, webhook_id, delivery_id))


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
        now = service.clock()
        return delivery(admin.retry_delivery(tx, webhook_id, delivery_id, now, grant.name))

    return service.idempotent(key, ["retry delivery", delivery_id], act)


def _refuse_address(url: str, service: Service) -> None:
    """Raise AddressRefused for a URL that would never be sent to; the courier looks again at every try."""
    target = parse(url)
    checked(target, resolved(target, resolve, LOOK_UP_S), service.config.webhook_allow)
