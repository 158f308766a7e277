"""The outbox: one row for each thing to be told to one webhook, written with the thing itself.

Claimed by conditional update, leased, fenced by a growing token, like jobs.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from monitor.database.schema import deliveries, runs
from monitor.database.upsert import insert_or_ignore

DeliveryRow = Row[Any]
LEASE_S = 30.0
STATES = ("waiting", "sending", "delivered", "dead")


def add(connection: Connection, row: dict[str, Any], now: float) -> bool:
    """Store a delivery; False when this webhook is told the same (its `key`) already."""
    fresh = {"state": "waiting", "token": 0, "attempts": 0, "next_at": now, "created_at": now}
    return insert_or_ignore(connection, deliveries, [{**fresh, **row}]) == 1


def any_due(connection: Connection, now: float) -> bool:
    """Return whether something is to be sent now."""
    return bool(connection.execute(select(exists().where(_due(now)))).scalar_one())


def claim(connection: Connection, now: float) -> DeliveryRow | None:
    """Give the longest waiting delivery to the caller for `LEASE_S`, or None.

    A webhook with a delivery under way gets no second one: a slow receiver holds up itself only.
    """
    busy = deliveries.alias("busy")
    under_way = exists().where(
        busy.c.webhook_id == deliveries.c.webhook_id,
        busy.c.state == "sending",
        busy.c.lease_until >= now,
    )
    oldest = (
        select(deliveries.c.id)
        .where(_due(now), ~under_way)
        .order_by(deliveries.c.next_at, deliveries.c.id)
        .limit(1)
    )
    if connection.dialect.name == "postgresql":
        oldest = oldest.with_for_update(skip_locked=True)
    return connection.execute(
        update(deliveries)
        .where(deliveries.c.id == oldest.scalar_subquery(), _due(now))
        .values(
            state="sending",
            token=deliveries.c.token + 1,
            attempts=deliveries.c.attempts + 1,
            lease_until=now + LEASE_S,
        )
        .returning(deliveries)
    ).one_or_none()


def finish(connection: Connection, row: DeliveryRow, **outcome: Any) -> bool:
    """Record what came of a claimed delivery; False when another sender has it by now."""
    done = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.id == row.id,
            deliveries.c.token == row.token,
            deliveries.c.state == "sending",
        )
        .values(lease_until=None, **outcome)
    )
    return done.rowcount == 1


def get(connection: Connection, delivery_id: str) -> DeliveryRow | None:
    """Return the delivery or None."""
    return connection.execute(
        select(deliveries).where(deliveries.c.id == delivery_id)
    ).one_or_none()


def of_webhook(connection: Connection, webhook_id: str, most: int = 100) -> Sequence[DeliveryRow]:
    """Return the webhook's newest deliveries first."""
    return connection.execute(
        select(deliveries)
        .where(deliveries.c.webhook_id == webhook_id)
        .order_by(deliveries.c.id.desc())
        .limit(most)
    ).all()


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many deliveries there are of each (webhook id, state)."""
    webhook, state = deliveries.c.webhook_id, deliveries.c.state
    found = connection.execute(select(webhook, state, func.count()).group_by(webhook, state))
    return {(row[0], row[1]): row[2] for row in found}


def again(connection: Connection, delivery_id: str, now: float) -> DeliveryRow | None:
    """Send a dead or delivered one anew, with all its attempts, and return it; None if it is neither."""
    return connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(("dead", "delivered")))
        .values(state="waiting", attempts=0, next_at=now, ended_at=None, error=None)
        .returning(deliveries)
    ).one_or_none()


def drop(connection: Connection, webhook_id: str, now: float, reason: str) -> int:
    """End everything that still waits for a webhook; return how much that was."""
    return connection.execute(
        update(deliveries)
        .where(
            deliveries.c.webhook_id == webhook_id, deliveries.c.state.in_(("waiting", "sending"))
        )
        .values(state="dead", error=reason, ended_at=now, lease_until=None)
    ).rowcount


def forget_older(connection: Connection, delivered_before: float, dead_before: float) -> int:
    """Delete what has ended long ago; return how many rows that were."""
    state, ended = deliveries.c.state, deliveries.c.ended_at
    old = or_(
        and_(state == "delivered", ended < delivered_before),
        and_(state == "dead", ended < dead_before),
    )
    return connection.execute(delete(deliveries).where(old)).rowcount


def silent_and_untold(
    connection: Connection, silent_since: float, not_before: float
) -> Sequence[Row[str, float]]:
    """Return (id, last contact) of runs that fell silent in between and that nobody was told of."""
    told = exists().where(
        deliveries.c.run_id == runs.c.id,
        deliveries.c.topic == "run.lost",
        deliveries.c.created_at > runs.c.last_contact_at,
    )
    last = runs.c.last_contact_at
    return connection.execute(
        select(runs.c.id, last).where(
            runs.c.status == "running",
            runs.c.deleted_at.is_(None),
            last < silent_since,
            last >= not_before,
            ~told,
        )
    ).all()


def _due(now: float) -> ColumnElement[bool]:
    state = deliveries.c.state
    return or_(
        and_(state == "waiting", deliveries.c.next_at <= now),
        and_(state == "sending", deliveries.c.lease_until < now),
    )
