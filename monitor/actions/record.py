"""Records an event: its audit row, what the run's page has to show anew, and what webhooks are told.

All in the transaction of the event, so that all of it is stored or nothing. The run's viewers are woken
after the commit (`on_commit` of monitor/database/engine.py).
"""

from typing import Any, NamedTuple, cast

from monitor.database.engine import Transaction, touch
from monitor.store import changes
from monitor.store.access import audit
from monitor.webhooks.outbox import Topic, emit


class Event(NamedTuple):
    """What an event leaves behind. A webhook's topic is the name of the event."""

    audit: str | None = None  # the action of its audit row
    sections: tuple[str, ...] = ()  # of the run's page
    run: bool = False  # whether the run's own line changed: its status, aliases, times
    webhook: bool = False


EVENTS = {
    "run.started": Event(webhook=True),
    "run.ended": Event(webhook=True),
    "run.changed": Event(run=True),
    "run.roles_told": Event("roles"),
    "run.described": Event("edit", ("about",), run=True),
    "run.resume_asked": Event("resume", ("jobs",), run=True),
    "run.deleted": Event("delete", ("decisions",), run=True, webhook=True),
    "run.restored": Event("restore", ("decisions",), run=True, webhook=True),
    "run.purged": Event("purge", webhook=True),
    "transition.found": Event(webhook=True),
    "change_point.confirmed": Event("confirmed", ("change_points",)),
    "change_point.dismissed": Event("dismissed", ("change_points",)),
    "decision.keep": Event("keep", ("decisions", "commands")),
    "decision.stop": Event("stop", ("decisions", "commands")),
    "decision.propose": Event(None, ("decisions",)),
    "decision.evaluate": Event(None, ("decisions",)),  # the job has the audit row
    "run.priced": Event("price", ("cost",), run=True),
    "stop.asked": Event("stop", ("commands",), run=True),
    "stop.done": Event(webhook=True),
    "stop.refused": Event(webhook=True),
    "verification.asked": Event("verify", ("verifications", "commands", "jobs"), run=True),
    "verification.done": Event(
        "verified", ("verifications", "commands", "checkpoints"), run=True, webhook=True
    ),
    "verification.released": Event(None, ("commands",)),
    "keep.asked": Event(None, ("commands",)),
    "commands.superseded": Event(None, ("commands",)),
    "commands.expired": Event(None, ("commands",), run=True),
    "checkpoint.promoted": Event("promote", ("checkpoints",), webhook=True),
    "checkpoint.pin_asked": Event("pin", ("commands",)),
    "checkpoint.checked": Event(None, ("checkpoints",)),
    "checkpoint.found_changed": Event("check", ("checkpoints",)),
    "evaluation.asked": Event("evaluate", ("jobs",)),
    "export.asked": Event("export", ("jobs",)),
    "evaluation.stored": Event(None, ("evaluations", "checkpoints")),
    "evaluation.posted": Event("score", ("evaluations", "checkpoints"), run=True),
    "evaluation.compared": Event("compare", ("evaluations", "checkpoints", "jobs"), run=True),
    "evaluation.done": Event(webhook=True),
    "evaluation.failed": Event(webhook=True),
    "job.changed": Event(None, ("jobs",)),
    "job.ended": Event(None, ("jobs", "evaluations", "checkpoints", "cost"), run=True),
    "job.cancelled": Event("cancel", ("jobs", "decisions")),
    "training.asked": Event("train"),
    "training.cancelled": Event("cancel training"),
    "token.created": Event("create token"),
    "token.revoked": Event("revoke token"),
    "webhook.added": Event("add webhook"),
    "webhook.removed": Event("remove webhook"),
    "webhook.tested": Event("test webhook"),
    "delivery.retried": Event("retry delivery"),
}


def record(
    tx: Transaction,
    name: str,
    run_id: str | None,
    now: float,
    *,
    by: str = "",
    target: str | None = None,
    detail: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    key: str | None = None,
) -> None:
    """Record the event of this name in `EVENTS`; one of tokens and webhooks has no run.

    `by`, `target` (the run if absent) and `detail` are of the audit row; `told` are the data for webhooks,
    which hear once for ever of what has a `key`.
    """
    event = EVENTS[name]
    if event.audit is not None:
        of = target or run_id or ""
        audit.add(tx, run_id, now, actor=by, action=event.audit, target=of, detail=detail)
    if run_id is None:
        return
    touch(tx, run_id)
    news: list[changes.News] = [("changed", {"section": section}) for section in event.sections]
    if event.run:
        news.append(("run", {}))
    if news:
        changes.add_all(tx, run_id, news)
    if event.webhook:
        emit(tx, cast("Topic", name), run_id, now, key=key, **(told or {}))
