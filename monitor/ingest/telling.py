"""When a batch is nothing but new steps, so that viewers are handed them and need not read. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cusp.protocol.messages import Message, PointMessage
from monitor.ingest.messages import BatchEffects, SeriesIds
from monitor.live.fresh import Fresh, LiveReadings, NewSteps, changed
from monitor.verdicts.update import Followed, verdict_row


class Told(NamedTuple):
    """A stored batch: `run` is the row before it, `attempts` are those after it.

    `new_steps` is what the function of this name returned, `values` are the columns of the run that it has changed.
    """

    run: Any
    attempts: Sequence[Any]
    new_steps: Mapping[int, Mapping[str, float]] | None
    numbers: SeriesIds
    touched: BatchEffects
    values: Mapping[str, Any]
    followed: Followed | None


def new_steps(
    run: Any,
    attempt: Any,
    said: Sequence[Message | str],
    touched: BatchEffects,
    *,
    is_newest: bool,
) -> dict[int, dict[str, float]] | None:
    """Return {step: {name: value}} as stored, of a batch of nothing but points beyond every step before, else None.

    `run` and `attempt` are the rows before the batch.
    """
    points = [one for one in said if isinstance(one, PointMessage)]
    if not is_newest or attempt.first_step is None or not points or len(points) < len(said):
        return None
    reached = max(attempt.last_step, -1 if run.last_step is None else run.last_step)
    if touched.first_step <= reached or touched.refused or touched.answered:
        return None
    logged: dict[int, dict[str, float]] = {}
    for one in points:
        stored = {name: value + 0.0 for name, value in one.metrics.items()}
        logged.setdefault(one.step, {}).update(stored)
    return logged


def fresh_steps(known: LiveReadings, told: Told) -> Fresh | None:
    """Return the events of the batch; None where it is more, or the readings before it are not known."""
    run, touched = told.run, told.touched
    if touched.sections or told.new_steps is None:
        return None
    news = [kind for kind, _ in told.followed.news] if told.followed else []
    if news not in ([], ["verdicts"]):
        return None
    before = known.at(run.id, run.cursor)
    if before is None or told.values["cursor"] != run.cursor + 2 + len(news):
        return None
    verdicts = [verdict_row(run.id, one) for one in (told.followed.found if told.followed else ())]
    own, roles = told.attempts[-1], told.numbers.roles
    new = NewSteps(own, told.attempts, told.new_steps, verdicts, roles, changed(run, told.values))
    return known.fresh(before, new)
