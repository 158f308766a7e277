"""SQL of samples: completions of a training with their rewards, as its trainer sent them.

A sample's key is its attempt and its place in the attempt's messages. What a filter needs is read without the texts,
which are read for the samples shown.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, tuple_, union_all

from monitor.database.schema import samples

Key = tuple[int, int]


class Beside(NamedTuple):
    """Some of a run's samples, by step, and how many there are in all."""

    rows: Sequence[Row[Any]]
    total: int


def beside(connection: Connection, run_id: str, step: int | None, each: int) -> Beside:
    """Return at most `each` samples on either side of a step, the nearest; without a step the newest."""
    own = samples.c.run_id == run_id
    total = select(func.count()).where(own).scalar_subquery().label("total")
    chosen = select(samples, total).where(own)
    newest = chosen.order_by(samples.c.step.desc(), samples.c.seq)
    if step is None:
        asked = newest.limit(2 * each)
    else:
        before = newest.where(samples.c.step < step).limit(each).subquery()
        after = chosen.where(samples.c.step >= step).order_by(samples.c.step, samples.c.seq)
        asked = union_all(select(before), select(after.limit(each).subquery()))  # type: ignore[assignment]
    rows = connection.execute(asked).all()
    ordered = sorted(rows, key=lambda row: (row.step, row.attempt_key, row.seq))
    return Beside(ordered, rows[0].total if rows else 0)


def without_text(
    connection: Connection, run_id: str
) -> Sequence[Row[int, int, int, dict[str, float]]]:
    """Return attempt, place, step and rewards of every sample of a run, by step."""
    statement = select(
        samples.c.attempt_key, samples.c.seq, samples.c.step, samples.c.rewards
    ).where(samples.c.run_id == run_id)
    ordered = statement.order_by(samples.c.step, samples.c.attempt_key, samples.c.seq)
    return connection.execute(ordered).all()


def with_text(connection: Connection, run_id: str, keys: Sequence[Key]) -> dict[Key, Row[Any]]:
    """Return the samples of these keys; keys that are none are left out."""
    if not keys:
        return {}
    place = tuple_(samples.c.attempt_key, samples.c.seq)
    found = connection.execute(
        select(samples).where(samples.c.run_id == run_id, place.in_(list(keys)))
    )
    return {(row.attempt_key, row.seq): row for row in found}
