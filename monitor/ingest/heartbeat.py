"""An empty batch of a trainer that was heard of a moment ago: answered by reading alone.

A trainer beats twice a second so that a stop is known soon; a transaction that writes for each would cost
fifty of them more than their points.
"""

from typing import Any

from cusp.protocol.messages import Batch, Command, Reply, VerifyOrder
from monitor.database.engine import Transaction
from monitor.policy.verify import suspected_since
from monitor.store import commands, runs
from monitor.store.scores import verifications
from monitor.verdicts.encoding import from_json

LATELY_S = 2.0  # how old the time of the last contact may be


def answered(tx: Transaction, run_id: str, batch: Batch, now: float) -> Reply | None:
    """Return the answer, or None where there is something to note: then it is taken like any batch."""
    newest = runs.newest_with_run(tx, run_id)
    if (
        batch.messages
        or batch.late
        or newest is None
        or newest.id != batch.attempt_id
        or newest.deleted_at is not None
        or newest.status != "running"
        or not 0 <= now - newest.last_contact_at < LATELY_S
        or batch.dropped > newest.dropped
        or batch.oldest_seq > newest.next_seq
    ):
        return None
    verdict = from_json(newest.verdict) if newest.verdict else None
    return Reply(
        next_seq=newest.next_seq,
        commands=pending(tx, run_id) if newest.pending else [],
        suspected_since=suspected_since(verdict),
    )


def pending(tx: Transaction, run_id: str) -> list[Command]:
    """Return what the run's trainer has not finished yet."""
    return [_command(row, _order(tx, row)) for row in commands.pending(tx, run_id)]


def stops_since(tx: Transaction, run_id: str, since: float) -> list[Command]:
    """Return the stops asked for since then, whatever became of them.

    They reach a superseded attempt, too, which may hear of one when the newest has obeyed already.
    """
    asked = commands.of_run(tx, run_id)
    return [_command(row) for row in asked if row.kind == "stop" and row.created_at >= since]


def _order(tx: Transaction, row: Any) -> VerifyOrder | None:
    """Return how to verify, of a command to verify."""
    if row.kind != "verify":
        return None
    asked = verifications.asked_by(tx, row.run_id, "command_id", row.id)
    if asked is None:
        return VerifyOrder()
    return VerifyOrder(stages=asked.stages, alpha=asked.alpha, budget=asked.budget)


def _command(row: Any, verify: VerifyOrder | None = None) -> Command:
    return Command(
        command_id=row.id,
        kind=row.kind,
        mode=row.mode,
        steps=row.steps,
        reason=row.reason,
        verify=verify,
    )
