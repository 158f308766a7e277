"""Outbox of webhook events, and the retry schedule of deliveries. Emitting an event only writes a row.

`emit` is called in the transaction of what it tells of: either both are stored or neither is. The
courier (monitor/webhooks/delivery.py) sends what is in the outbox afterwards.
"""

import json
from typing import Any, Literal, get_args

from cusp.ids import new_id
from monitor import clock
from monitor.database.engine import Database, Transaction
from monitor.store import runs
from monitor.store.access import deliveries, webhooks

Topic = Literal[
    "run.started",
    "run.ended",
    "run.lost",
    "run.deleted",
    "run.restored",
    "run.purged",
    "transition.found",
    "verification.done",
    "stop.done",
    "stop.refused",
    "checkpoint.promoted",
    "evaluation.done",
    "evaluation.failed",
]
TOPICS: tuple[Topic, ...] = get_args(Topic)
PING = "ping"

MOST_ATTEMPTS = 12
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 4 * 3600.0
NEWS_S = 86_400.0  # a run that was lost longer ago is no news


def emit(
    tx: Transaction, topic: Topic, run_id: str, now: float, *, key: str | None = None, **data: Any
) -> None:
    """Put the topic into the outbox of every webhook that wants it; with a `key`, once for ever."""
    run = runs.get(tx, run_id)
    if run is None:
        return
    named = {"id": run_id, "project": run.project, "name": run.name, "path": f"/runs/{run_id}"}
    for webhook in webhooks.wanting(tx, topic, run.project):
        enqueue(
            tx, webhook.id, topic, now, key=key and f"{topic} {run_id} {key}", run=named, data=data
        )


def enqueue(
    tx: Transaction,
    webhook_id: str,
    topic: str,
    now: float,
    *,
    key: str | None = None,
    run: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> str:
    """Put one delivery into the outbox and return its id; its bytes are fixed here, for every try."""
    delivery_id = new_id()
    body = {
        "v": 1,
        "id": delivery_id,
        "topic": topic,
        "created_at": clock.when(now),
        "run": run,
        "data": data or {},
    }
    row = {
        "id": delivery_id,
        "webhook_id": webhook_id,
        "run_id": run["id"] if run else None,
        "topic": topic,
        "key": key or delivery_id,
        "body": json.dumps(body),
    }
    deliveries.add(tx, row, now)
    return delivery_id


def addressed(body: str, prefix: str) -> str:
    """Return a delivery's body with the prefix of a proxy before the path of the run's page.

    What is stored knows no prefix: the one that the monitor has when it sends is right.

    >>> addressed('{"run": {"path": "/runs/01J"}}', "/cusp")
    '{"run": {"path": "/cusp/runs/01J"}}'
    """
    content = json.loads(body) if prefix else {}
    if not content.get("run"):
        return body
    content["run"]["path"] = prefix + content["run"]["path"]
    return json.dumps(content)


def retry_after_s(attempts: int) -> float | None:
    """Return how long to wait after this many failed attempts, or None to give up.

    >>> [retry_after_s(n) for n in (1, 2, 3, 11, 12)]
    [5.0, 15.0, 45.0, 14400.0, None]
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * 3.0 ** (attempts - 1))


def emit_lost(database: Database, now: float, lost_after_s: float) -> int:
    """Tell of runs that fell silent since a webhook for it exists; return how many there were."""
    with database.read() as tx:
        wanting = [row for row in webhooks.active(tx) if "run.lost" in row.topics]
        if not wanting:
            return 0
        since = max(now - NEWS_S, min(row.created_at for row in wanting)) - lost_after_s
        found = deliveries.silent_and_untold(tx, now - lost_after_s, since)
    for run_id, last_contact_at in found:
        with database.write() as tx:
            run = runs.lock(tx, run_id)
            if run is not None and run.last_contact_at == last_contact_at:
                heard = clock.when(last_contact_at)
                key = f"{last_contact_at:.3f}"
                emit(
                    tx, "run.lost", run_id, now, key=key, last_contact_at=heard, step=run.last_step
                )
    return len(found)
