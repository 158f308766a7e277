"""Liveness of a trainer from its batches: last sign of life, end, and the reply to it."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from cusp.protocol.messages import Batch, Message, Reply, StatusMessage
from monitor import clock
from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.detector import Verdict
from monitor.ingest import heartbeat
from monitor.ingest.messages import BatchEffects
from monitor.policy.verify import suspected_since
from monitor.runs import durations, superseded
from monitor.store import runs

ENDED = ("finished", "failed", "stopped")


class Heard(NamedTuple):
    """The columns of an attempt and of its run that a batch changes by having come."""

    attempt: dict[str, Any]
    run: dict[str, Any]


def heard(
    run: Any,
    attempt: Any,
    batch: Batch,
    said: Sequence[Message | str],
    touched: BatchEffects,
    now: float,
    *,
    is_newest: bool,
) -> Heard:
    """Return what to note; `said` are the messages that are new, `attempt` is its row before them.

    A late spool is no contact: its trainer was last there when it last said something. Neither is the beat
    of one whose training has ended.
    """
    if not batch.messages and attempt.status in ENDED:
        return Heard({}, {})
    stamp: dict[str, Any] = {"late_at": now} if batch.late else {"last_contact_at": now}
    stamp |= durations.signs(batch, said, attempt, now)
    stamp["outrun"] = attempt.outrun + superseded.outrun(said, batch, attempt, now)
    stamp["withheld"] = max(attempt.withheld, batch.withheld)
    if not is_newest:
        if attempt.late and not batch.late and attempt.superseded_at is None:
            stamp["superseded_at"] = now  # it lives, and told an earlier database's monitor so
        return Heard(stamp, {})
    after = SimpleNamespace(**{**attempt._asdict(), **stamp})
    last = durations.span(after).last
    values = {"last_contact_at": max(run.last_contact_at, last) if batch.late else now}
    if touched.end is not None:
        values["ended_at"] = min(now, last if after.last_at is not None else now)
    return Heard(stamp, values)


def reply(
    tx: Transaction,
    attempts: Sequence[Any],
    attempt: Any,
    next_seq: int,
    verdict: Verdict | None,
    *,
    pending: bool,
) -> Reply:
    """Return the answer to a batch: commands for the latest attempt, a word to one that it superseded.

    A stop reaches whatever still trains. `pending`: there may be commands that it has not finished.
    """
    if attempt is attempts[-1]:
        commands = heartbeat.pending(tx, attempt.run_id) if pending else []
        since = suspected_since(verdict)
        return Reply(next_seq=next_seq, commands=commands, suspected_since=since)
    if attempt.superseded_at is None:
        return Reply(next_seq=next_seq)
    stops = heartbeat.stops_since(tx, attempt.run_id, attempt.superseded_at)
    words = superseded.words(attempts)
    return Reply(next_seq=next_seq, commands=stops, superseded=words)


def tell_ended(tx: Transaction, run_id: str, attempt: Any, end: StatusMessage, now: float) -> None:
    """Tell the webhooks that the run has ended, when that was and how long it trained."""
    run = runs.get(tx, run_id)
    told: dict[str, Any] = {"status": end.status, "reason": end.reason, "step": end.step}
    told["ended_at"] = clock.when(run.ended_at if run else now)
    told["elapsed_s"] = round(durations.elapsed_s(runs.attempts_of(tx, run_id)), 1)
    record(tx, "run.ended", run_id, now, told=told, key=f"{attempt.id} {end.status}")
