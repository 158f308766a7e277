"""An attempt that goes on though a later one has taken its run over: what it is told, how it is counted.

A preempted job that was not dead, or two boxes with one run id. It is told so and stops writing. What it wrote
all the same is stored behind the later attempt's cut, as any abandoned branch, and counted.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from cusp.protocol.messages import AckMessage, Batch, Message, PointMessage
from monitor.database.engine import Transaction
from monitor.runs import durations
from monitor.store import commands


def outrun(messages: Iterable[Message | str], batch: Batch, attempt: Any, now: float) -> int:
    """Return how many points a living attempt wrote after it had lost the run."""
    if attempt.superseded_at is None or batch.late:
        return 0
    said = (one.at for one in messages if isinstance(one, PointMessage))
    times_of = (durations.placed(at, batch, attempt.began_at, now) for at in said)
    return sum(at is None or at >= attempt.superseded_at for at in times_of)


def may_answer(tx: Transaction, message: AckMessage, *, is_newest: bool, run: Any) -> bool:
    """Return whether an attempt's word on a command counts.

    A pending command is the latest attempt's to answer, while that runs; what has expired is anybody's who had it.
    """
    if is_newest or run.status != "running":
        return True
    command = commands.get(tx, message.command_id)
    return command is None or command.state not in commands.PENDING


def is_alive(attempt: Any, now: float, lost_after_s: float) -> bool:
    """Return whether a superseded attempt was heard of since, and lately."""
    heard_at = attempt.last_contact_at
    return (
        attempt.superseded_at is not None
        and attempt.status == "lost"
        and heard_at > attempt.superseded_at
        and now - heard_at <= lost_after_s
    )


def alive(attempts: Sequence[Any], now: float, lost_after_s: float) -> list[int]:
    """Return the numbers of the superseded attempts that still train."""
    return [
        number for number, attempt in enumerate(attempts, 1) if is_alive(attempt, now, lost_after_s)
    ]


def words(attempts: Sequence[Any]) -> str:
    """Return what a superseded attempt is told of the newest of `attempts`."""
    where = f" on {attempts[-1].host}" if attempts[-1].host else ""
    return f"attempt {len(attempts)}{where} has taken the run over"
