"""Superseded attempts that still train: the warning they get, and the count of their points.

A preempted job that was not dead, or two boxes with one run id. It is told so and stops writing. Points written
anyway are stored behind the later attempt's cut, like any abandoned branch, and counted.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from cusp.protocol.messages import AckMessage, Batch, Message, PointMessage
from monitor.database.engine import Transaction
from monitor.runs import durations
from monitor.store import commands


def outrun(messages: Iterable[Message | str], batch: Batch, attempt: Any, now: float) -> int:
    """Return the number of points that a live attempt wrote after it was superseded."""
    if attempt.superseded_at is None or batch.late:
        return 0
    said = (one.at for one in messages if isinstance(one, PointMessage))
    times_of = (durations.placed(at, batch, attempt.began_at, now) for at in said)
    return sum(at is None or at >= attempt.superseded_at for at in times_of)


def may_answer(tx: Transaction, message: AckMessage, *, is_newest: bool, run: Any) -> bool:
    """Return whether an attempt's acknowledgement of a command counts.

    While the run is active, only the latest attempt may answer a pending command; an expired one may be
    answered by any attempt that had it.
    """
    if is_newest or run.status != "running":
        return True
    command = commands.get(tx, message.command_id)
    return command is None or command.state not in commands.PENDING


def is_alive(attempt: Any, now: float, lost_after_s: float) -> bool:
    """Return whether a superseded attempt was heard of since, within `lost_after_s`."""
    heard_at = attempt.last_contact_at
    return (
        attempt.superseded_at is not None
        and attempt.status == "lost"
        and heard_at > attempt.superseded_at
        and now - heard_at <= lost_after_s
    )


def alive(attempts: Sequence[Any], now: float, lost_after_s: float) -> list[int]:
    """Return the numbers of the superseded attempts that are still training."""
    return [
        number for number, attempt in enumerate(attempts, 1) if is_alive(attempt, now, lost_after_s)
    ]


def words(attempts: Sequence[Any]) -> str:
    """Return the message to a superseded attempt about the newest of `attempts`."""
    where = f" on {attempts[-1].host}" if attempts[-1].host else ""
    return f"attempt {len(attempts)}{where} has taken the run over"
