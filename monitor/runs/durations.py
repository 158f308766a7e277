"""Lifetime of a trainer by its own clock, for durations and costs. Pure.

A message's time is from the trainer's clock. The offset to the monitor's clock comes from the sender's time
in the batch; without it times are used as they are, so durations are right and only absolute times may be
off. No clock can make a duration negative, or end it later than the message was received.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cusp.protocol.messages import Batch, Message

# A clock before this was never set; one further behind its sender's was set in between.
CLOCKS_ARE_SET_SINCE = 1_577_836_800.0  # 2020
LONGEST_S = 5 * 365 * 86_400.0


class Span(NamedTuple):
    """First and last sign of life of an attempt, UTC seconds on the monitor's clock."""

    first: float
    last: float

    @property
    def seconds(self) -> float:
        """Length of the span in seconds; never negative."""
        return max(0.0, self.last - self.first)


def began_at(now: float, age_s: float | None) -> float:
    """Return the start time of an attempt that is announced at `now` with this age.

    >>> began_at(1000.0, 60.0), began_at(1000.0, None), began_at(1000.0, 1e12)
    (940.0, 1000.0, 1000.0)
    """
    return now - age_s if age_s is not None and age_s <= LONGEST_S else now


def placed(at: float | None, batch: Batch, began: float | None, now: float) -> float | None:
    """Return a message's time on the monitor's clock, None if it is unknown.

    `began` is the start of a live trainer, if known: times are clipped to `began` and `now`. Those of a late
    attempt may lie ahead of the monitor's clock; `span` shifts it as a whole.
    """
    if at is None:
        return None
    if batch.sent_at is None:
        return at if at >= CLOCKS_ARE_SET_SINCE else None
    ago = batch.sent_at - at
    if batch.late:
        return now - ago if ago <= LONGEST_S else None
    return min(now, max(now - ago, now - LONGEST_S if began is None else began))


def signs(
    batch: Batch, messages: Iterable[Message | str], attempt: Any, now: float
) -> dict[str, float]:
    """Return the columns of the attempt's first and last sign of life that the messages update."""
    began = attempt.began_at
    said = (placed(getattr(one, "at", None), batch, began, now) for one in messages)
    times = [time for time in said if time is not None]
    if not times:
        return {}
    # The first one written, not the least: a clock may step back.
    first = times[0] if began is None else began
    last = max(times) if attempt.last_at is None else max(attempt.last_at, *times)
    return {"began_at": first, "last_at": max(first, last)}


def span(attempt: Any) -> Span:
    """Return an attempt's first and last sign of life; without its own times, those of reception."""
    if attempt.began_at is None or attempt.last_at is None:
        return Span(attempt.started_at, max(attempt.started_at, attempt.last_contact_at))
    heard_at = max(attempt.last_contact_at, attempt.late_at or 0.0)
    ahead_s = max(0.0, attempt.last_at - heard_at)
    return Span(attempt.began_at - ahead_s, attempt.last_at - ahead_s)


def elapsed_s(attempts: Sequence[Any]) -> float:
    """Return the total lifetime of the attempts in seconds, without the time between them."""
    return sum(span(one).seconds for one in attempts)
