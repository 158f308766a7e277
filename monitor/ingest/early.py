"""Finds the first message of a portion that leads to a decision, so that the portion ends there."""

from collections.abc import Sequence
from typing import Any

from cusp.protocol.messages import Message
from monitor.actions import decisions
from monitor.database.engine import Transaction
from monitor.detector import Verdict
from monitor.ingest.messages import BatchEffects, SeriesIds
from monitor.ingest.portions import moments, verdict_at
from monitor.policy import availability, schedule
from monitor.store import runs
from monitor.store.scores import verifications
from monitor.verdicts.encoding import from_json
from monitor.verdicts.update import Followed


def decided_early(
    tx: Transaction,
    run: Any,
    attempt: Any,
    new: Sequence[tuple[Any, Message | str]],
    followed: Followed | None,
    touched: BatchEffects,
    numbers: SeriesIds,
    now: float,
    *,
    look: bool,
) -> int:
    """Return after how many of the new messages a decision falls, 0 if none does before the last.

    `look` is what `may_look` returned.
    """
    if len(new) < 2:
        return 0
    found, before = followed.found if followed else [], verdict_of(run)
    if not look and not any(v and v.transition for v in (*found, before)):
        return 0
    reached = before.step if before and attempt.first_step is not None else -1
    by_step = {verdict.step: verdict for verdict in found}
    watched = numbers.roles.watched
    found_at = [
        (moment.offset, verdict_at(moment, by_step, before))
        for moment in moments([message for _, message in new[:-1]], reached, watched)
    ]
    place = decisions.first_decided(tx, run.id, found_at, touched.checkpoints, now, look=look)
    return 0 if place is None else place + 1


def verdict_of(run: Any) -> Verdict | None:
    """Return the run's stored verdict, None before the first."""
    return from_json(run.verdict) if run.verdict else None


def may_look(tx: Transaction, run: Any, followed: Followed | None, touched: BatchEffects) -> bool:
    """Return whether a verification may be due or have been answered, though nothing is suspected."""
    if touched.answered or (followed and followed.worse):
        return True
    after = followed.verdict if followed else verdict_of(run)
    mark = schedule.mark(after.step, run.metadata.get("max_steps")) if after else None
    if mark is None or run.policy.get("verify") == "off" or not availability.verifier(run.metadata):
        return False
    # Past a scheduled step until a look was asked for: there may have been no checkpoint, or another look under way.
    cuts = runs.cuts(runs.attempts_of(tx, run.id))
    return not verifications.asked_since(tx, run.id, mark, cuts)
