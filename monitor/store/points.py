"""Points: one number for each (series, step, attempt), and the series they make."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    literal,
    null,
    select,
    union_all,
)

from monitor.database.schema import boundaries, points, samples, series
from monitor.database.upsert import insert_or_ignore

AT = "\x01at"  # the trainer's clock, seconds; no metric can have this name
BEFORE_ALL = -1  # before every step
PointRow = tuple[int, int, int, float]  # series id, step, attempt key, value

# Built once: SQLAlchemy takes 60 us to build a statement and 20 us to run one that it knows.
_NAMES = select(series.c.name, series.c.id).where(series.c.run_id == bindparam("run"))
_NAMES_OF_ALL = select(series.c.run_id, series.c.name, series.c.id).where(
    series.c.run_id.in_(bindparam("runs", expanding=True))
)
_BOUNDARIES = select(boundaries.c.step, boundaries.c.attempt_key).where(
    boundaries.c.run_id == bindparam("run")
)
_FOUND = select(points.c.series_id, points.c.step, points.c.attempt_key, points.c.value).where(
    points.c.series_id.in_(bindparam("ids", expanding=True)), points.c.step >= bindparam("since")
)
_OF_ATTEMPT = (
    select(points.c.step, points.c.series_id, points.c.value)
    .where(
        points.c.series_id.in_(bindparam("ids", expanding=True)),
        points.c.step.between(bindparam("since"), bindparam("until")),
        points.c.attempt_key == bindparam("key"),
    )
    .order_by(points.c.step)
)
_INTO = "INSERT INTO points (series_id, step, attempt_key, value)"
_LATER_WINS = "ON CONFLICT (series_id, step, attempt_key) DO UPDATE SET value = excluded.value"
# The driver's own "executemany": by way of SQLAlchemy's the same rows take three times as long.
_ADD_SQLITE = f"{_INTO} VALUES (?, ?, ?, ?) {_LATER_WINS}"
_ADD_POSTGRESQL = (
    f"{_INTO} SELECT * FROM unnest(%s::int[], %s::bigint[], %s::smallint[], %s::float8[])"
    f" {_LATER_WINS}"
)


# The correlated subquery finds the step at which the last points begin, by the primary key.
_RECENT = """
SELECT p.series_id, p.step, p.value FROM span
JOIN points AS p ON p.series_id = span.series_id AND p.attempt_key = span.attempt_key AND p.step < span.cut
AND p.step >= coalesce((
    SELECT q.step FROM points AS q
    WHERE q.series_id = span.series_id AND q.attempt_key = span.attempt_key AND q.step < span.cut
    ORDER BY q.step DESC LIMIT 1 OFFSET {offset}
), 0)
"""
_SPANS_SQLITE = """
WITH span AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS series_id, json_extract(value, '$[1]') AS attempt_key,
           json_extract(value, '$[2]') AS cut FROM json_each(?)
)
"""
_SPANS_POSTGRESQL = """
WITH span AS MATERIALIZED (
    SELECT * FROM unnest(%s::int[], %s::smallint[], %s::bigint[]) AS t(series_id, attempt_key, cut)
)
"""


def _with_points(*chosen: ColumnElement[bool]) -> CompoundSelect[Any]:
    """Return (series id, step, attempt key, value, name) of the chosen series and of their points, unsorted.

    Sorted, a series itself comes before its points, with its name; a point does not repeat it, as a run may
    have a million.
    """
    owners = select(
        series.c.id.label("series_id"),
        literal(BEFORE_ALL).label("step"),
        literal(BEFORE_ALL).label("attempt_key"),
        null().label("value"),
        series.c.name,
    ).where(*chosen)
    found = select(
        points.c.series_id,
        points.c.step,
        points.c.attempt_key,
        points.c.value,
        null().label("name"),
    ).where(
        points.c.series_id.in_(select(series.c.id).where(*chosen)),
        points.c.step >= bindparam("since"),
    )
    return union_all(owners, found)


_ALL = _with_points(series.c.run_id == bindparam("run"))
_SOME = _with_points(
    series.c.run_id == bindparam("run"), series.c.name.in_(bindparam("names", expanding=True))
)


@dataclass
class Series:
    """One metric of a run by step: what counts, and what later attempts superseded."""

    name: str
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    superseded: list[tuple[int, float, int]] = field(default_factory=list)
    made_of: str | None = None  # of a role's series: the logged keys that it is made of


class StepRange(NamedTuple):
    """The steps of one series at which one attempt counts: those before `cut`."""

    series_id: int
    attempt_key: int
    cut: int


def names(connection: Connection, run_id: str) -> dict[str, int]:
    """Return the run's series ids by name."""
    return {row.name: row.id for row in connection.execute(_NAMES, {"run": run_id})}


def add_names(connection: Connection, run_id: str, new: Iterable[str]) -> dict[str, int]:
    """Make series of these names and return all series ids of the run by name."""
    insert_or_ignore(connection, series, [{"run_id": run_id, "name": name} for name in sorted(new)])
    return names(connection, run_id)


def add(connection: Connection, rows: Sequence[PointRow]) -> None:
    """Store the rows; a later value of the same (series, step, attempt) wins."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        unique = {row[:3]: row for row in rows}  # one statement may not touch a row twice
        columns = tuple(list(column) for column in zip(*unique.values(), strict=True))
        connection.exec_driver_sql(_ADD_POSTGRESQL, columns)
    else:
        connection.exec_driver_sql(_ADD_SQLITE, list(rows))


def read(
    connection: Connection,
    run_id: str,
    cuts: Mapping[int, int],
    *,
    only: Sequence[str] | None = None,
    since: int = 0,
) -> list[Series]:
    """Return the run's series by name, or those named; steps from `since` on."""
    given = {"run": run_id, "since": since}
    if only is None:
        rows = _tuples(connection, _ALL, given)
    else:
        rows = _tuples(connection, _SOME, {**given, "names": list(only)})
    # Both databases return them almost in this order, which makes it cheap; a sort of theirs would not be.
    rows.sort()
    found, first = [], 0
    while first < len(rows):
        number, *_, name = rows[first]
        end = bisect_right(rows, number, lo=first, key=itemgetter(0))
        found.append(Series(name))
        if end > first + 1:
            _sort_out(found[-1], rows[first + 1 : end], cuts)
        first = end
    return sorted(found, key=lambda one: one.name)


def _sort_out(one: Series, rows: Sequence[tuple[Any, ...]], cuts: Mapping[int, int]) -> None:
    """Put (series id, step, attempt key, value, ...) rows, by step, where they belong in a series."""
    attempts = [row[2] for row in rows]
    if all(rows[-1][1] < cuts.get(key, 0) for key in set(attempts)):  # nothing was superseded
        one.steps, one.values = [row[1] for row in rows], [row[3] for row in rows]
        one.attempts = attempts
        return
    for _, step, key, value, _ in rows:
        if step < cuts.get(key, 0):
            one.steps.append(step)
            one.values.append(value)
            one.attempts.append(key)
        else:
            one.superseded.append((step, value, key))


def _tuples(
    connection: Connection, statement: Select[Any] | CompoundSelect[Any], given: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Return plain tuples of numbers: SQLAlchemy's rows would take three times as long to make."""
    found = connection.execute(statement, given)
    rows: list[tuple[Any, ...]] = list(found.cursor.fetchall())
    found.close()
    return rows


def effective(
    connection: Connection, ids: Mapping[int, str], cuts: Mapping[int, int], since: int = 0
) -> dict[int, dict[str, float]]:
    """Return {step: {name: value}} of the effective series of these ids, by rising step."""
    found: dict[int, dict[str, float]] = {}
    given = {"ids": list(ids), "since": since}
    for number, step, key, value in _tuples(connection, _FOUND, given):
        if step < cuts.get(key, 0):
            found.setdefault(step, {})[ids[number]] = value
    return dict(sorted(found.items()))


def of_attempt(
    connection: Connection, run_id: str, key: int, since: int, until: int
) -> dict[int, dict[str, float]]:
    """Return {step: {name: value}} of what one attempt logged from one step to another, by step."""
    ids = {number: name for name, number in names(connection, run_id).items() if name != AT}
    found: dict[int, dict[str, float]] = {}
    given = {"ids": list(ids), "since": since, "until": until, "key": key}
    for step, number, value in _tuples(connection, _OF_ATTEMPT, given):
        found.setdefault(step, {})[ids[number]] = value
    return found


def names_by_run(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return what `names` does, for many runs at once."""
    found: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
    for run_id, name, number in _tuples(connection, _NAMES_OF_ALL, {"runs": list(run_ids)}):
        found[run_id][name] = number
    return found


def add_boundary(connection: Connection, run_id: str, key: int, step: int, reason: str) -> None:
    """Store a data boundary."""
    row = {"run_id": run_id, "attempt_key": key, "step": step, "reason": reason}
    insert_or_ignore(connection, boundaries, [row])


def boundary_steps(connection: Connection, run_id: str, cuts: Mapping[int, int]) -> list[int]:
    """Return the steps at which the data changed, in the effective series."""
    rows = connection.execute(_BOUNDARIES, {"run": run_id})
    return sorted({step for step, key in rows if step < cuts.get(key, 0)})


def add_sample(connection: Connection, row: dict[str, Any]) -> None:
    """Store one completion."""
    insert_or_ignore(connection, samples, [row])


def recent_points(
    connection: Connection, spans: Sequence[StepRange], most: int
) -> dict[int, list[tuple[int, float]]]:
    """Return {series id: its last (step, value)s that count, at most `most`, by step}."""
    found: dict[int, list[tuple[int, float]]] = {}
    if not spans:
        return found
    asked = _RECENT.format(offset=int(most) - 1)
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*spans, strict=True))
        rows = connection.exec_driver_sql(_SPANS_POSTGRESQL + asked, columns)
    else:
        rows = connection.exec_driver_sql(_SPANS_SQLITE + asked, (json.dumps(spans),))
    for number, step, value in rows.cursor.fetchall():
        found.setdefault(number, []).append((step, value))
    rows.close()
    return {number: sorted(one)[-most:] for number, one in found.items()}
