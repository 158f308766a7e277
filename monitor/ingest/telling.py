"""When a batch is nothing but new steps, so that viewers are handed them and need not read. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cusp.protocol.messages import Message, PointMessage
from monitor.ingest.messages import BatchEffects, SeriesIds
from monitor.live.fresh import Fresh, LiveReadings, NewSteps, changed
from monitor.verdicts.update import Followed, verdict_row


class Told(NamedTuple):
    """A stored batch: `run` and `attempt` are the rows before it, `attempts` those after it.

    `values` are the columns of the run that it has changed.
    """

    run: Any
    attempt: Any
    attempts: Sequence[Any]
    said: Sequence[Message | str]
    numbers: SeriesIds
    touched: BatchEffects
    values: Mapping[str, Any]
    followed: Followed | None


def fresh_steps(known: LiveReadings, told: Told) -> Fresh | None:
    """Return the events of the batch; None where it is more, or the readings before it are not known."""
    run, attempt, touched = told.run, told.attempt, told.touched
    points = [one for one in told.said if isinstance(one, PointMessage)]
    if len(points) < len(told.said) or touched.refused or touched.sections or touched.answered:
        return None
    if attempt.first_step is None or attempt.key != told.attempts[-1].key:
        return None
    reached = max(attempt.last_step, -1 if run.last_step is None else run.last_step)
    news = [kind for kind, _ in told.followed.news] if told.followed else []
    if touched.first_step <= reached or news not in ([], ["verdicts"]):
        return None
    before = known.at(run.id, run.cursor)
    if before is None or told.values["cursor"] != run.cursor + 2 + len(news):
        return None
    logged: dict[int, dict[str, float]] = {}
    for one in points:
        stored = {name: value + 0.0 for name, value in one.metrics.items()}
        logged.setdefault(one.step, {}).update(stored)
    verdicts = [verdict_row(run.id, one) for one in (told.followed.found if told.followed else ())]
    own, roles = told.attempts[-1], told.numbers.roles
    new = NewSteps(own, told.attempts, logged, verdicts, roles, changed(run, told.values))
    return known.fresh(before, new)
