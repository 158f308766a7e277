"""Splits a batch at the messages that can trigger a decision, so that batching never changes an outcome.

Points are stored and folded many at a time, but a decision is taken on the verdict after one message,
with the checkpoints and commands that were known then. The message that leads to a decision, and the
one that ends an attempt, are therefore the last of their portion, however the network put them together.
Exact for attempts whose steps rise and whose watched metrics of a step come in one message, as every
supported trainer sends them.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from cusp.protocol.messages import (
    AckMessage,
    CheckpointMessage,
    Message,
    PointMessage,
    StatusMessage,
    VerificationMessage,
)
from monitor.detector import Verdict


class SplitHere(Exception):
    """A decision falls before the last message of the portion: take only the first `count` messages."""

    def __init__(self, count: int) -> None:
        super().__init__(f"a decision falls after {count} messages")
        self.count = count


@dataclass(frozen=True)
class DecisionPoint:
    """After the message at `offset`, the verdict is that of `step` (None: the one before the batch)."""

    offset: int
    step: int | None


def endings(messages: Sequence[Message | str]) -> set[int]:
    """Return after how many messages a portion ends at the latest: around the end of an attempt and of
    a command, because what was asked in vain may be asked again, and around held-out scores.

    >>> endings([PointMessage(step=1, metrics={}), StatusMessage(status="finished")])
    {1, 2}
    """
    found = {len(messages)}
    for offset, message in enumerate(messages):
        if _is_end(message):
            found |= {offset, offset + 1}
    return found - {0} or {0}


def _is_end(message: Message | str) -> bool:
    if isinstance(message, AckMessage):
        return message.state in ("done", "refused")
    if isinstance(message, VerificationMessage) or is_eval(message):
        return True
    return isinstance(message, StatusMessage) and message.status != "started"


def is_eval(message: Message | str) -> bool:
    """Return whether the message has metrics of an evaluation by the training itself."""
    if not isinstance(message, PointMessage):
        return False
    return any(name.startswith("eval_") for name in message.metrics)


def moments(
    messages: Sequence[Message | str], reached: int, watched: Set[str]
) -> Iterator[DecisionPoint]:
    """Yield the moments at which something may be decided; `reached` is the last step with a verdict.

    `watched` are the metrics that have a role in the run.
    A late value changes verdicts, too, but the last one is decided on, at the end of the portion.
    """
    step = None
    for offset, message in enumerate(messages):
        if isinstance(message, PointMessage):
            if message.step < reached or watched.isdisjoint(message.metrics):
                continue
            step = reached = message.step
            yield DecisionPoint(offset, step)
        elif isinstance(message, CheckpointMessage):
            yield DecisionPoint(offset, step)


def verdict_at(
    moment: DecisionPoint, found: Mapping[int, Verdict], before: Verdict | None
) -> Verdict | None:
    """Return the verdict at a moment: one of those `found` in the portion, or the one before it."""
    return before if moment.step is None else found.get(moment.step)
