"""Points: one number for each (series, step, attempt), and the series they make."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, bindparam, select

from monitor.database.schema import boundaries, samples, series
from monitor.database.upsert import insert_or_ignore
from monitor.store.packed.blocks import (
    BLOCK_STEPS,
    BY_ID,
    OF_NAMES,
    OF_RUN,
    columns_of,
    driver_rows,
)
from monitor.store.packed.columns import (
    NOTHING,
    Block,
    Columns,
    Values,
    counting,
    unpacked,
    within,
)

AT = "\x01at"  # the trainer's clock, seconds; no metric can have this name
NO_END = 2**62  # after every step
PointRow = tuple[int, int, int, float]  # series id, step, attempt key, value

# Built once: SQLAlchemy takes 60 us to build a statement and 20 us to run one that it knows.
_NAMES = select(series.c.name, series.c.id).where(series.c.run_id == bindparam("run"))
_NAMES_OF_ALL = select(series.c.run_id, series.c.name, series.c.id).where(
    series.c.run_id.in_(bindparam("runs", expanding=True))
)
_BOUNDARIES = select(boundaries.c.step, boundaries.c.attempt_key).where(
    boundaries.c.run_id == bindparam("run")
)
_INTO = "INSERT INTO points (series_id, step, attempt_key, value)"
_LATER_WINS = "ON CONFLICT (series_id, step, attempt_key) DO UPDATE SET value = excluded.value"
# The driver's own "executemany": by way of SQLAlchemy's the same rows take three times as long.
_ADD_SQLITE = f"{_INTO} VALUES (?, ?, ?, ?) {_LATER_WINS}"
_ADD_POSTGRESQL = (
    f"{_INTO} SELECT * FROM unnest(%s::int[], %s::bigint[], %s::smallint[], %s::float8[])"
    f" {_LATER_WINS}"
)


# The correlated subquery finds the step at which the last rows begin; `back` goes from the last block to those before
# it until there are enough points in what lies behind, so that a dense series costs two blocks, a sparse one many. A
# block that the cut goes through is not counted, as it may have fewer points than its size says.
_RECENT = """,
back (series_id, attempt_key, cut, block, behind) AS (
    SELECT span.series_id, span.attempt_key, span.cut, (
        SELECT max(q.block) FROM blocks AS q
        WHERE q.series_id = span.series_id AND q.attempt_key = span.attempt_key AND q.first < span.cut
    ), 0 FROM span
    UNION ALL
    SELECT back.series_id, back.attempt_key, back.cut, (
        SELECT max(q.block) FROM blocks AS q
        WHERE q.series_id = back.series_id AND q.attempt_key = back.attempt_key AND q.block < back.block
    ), back.behind + CASE WHEN (b.block + 1) * {steps} <= back.cut THEN b.size ELSE 0 END
    FROM back JOIN blocks AS b
    ON b.series_id = back.series_id AND b.attempt_key = back.attempt_key AND b.block = back.block
    WHERE back.behind < {most}
)
SELECT p.series_id, p.step, p.value, NULL, NULL, NULL, span.cut FROM span
JOIN points AS p ON p.series_id = span.series_id AND p.attempt_key = span.attempt_key AND p.step < span.cut
AND p.step >= coalesce((
    SELECT q.step FROM points AS q
    WHERE q.series_id = span.series_id AND q.attempt_key = span.attempt_key AND q.step < span.cut
    ORDER BY q.step DESC LIMIT 1 OFFSET {most} - 1
), 0)
UNION ALL
SELECT b.series_id, b.first, NULL, b.stride, b.size, b.packed, back.cut FROM back
JOIN blocks AS b ON b.series_id = back.series_id AND b.attempt_key = back.attempt_key AND b.block = back.block
WHERE back.behind < {most}
"""
_SPANS_SQLITE = """
WITH RECURSIVE span AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS series_id, json_extract(value, '$[1]') AS attempt_key,
           json_extract(value, '$[2]') AS cut FROM json_each(?)
)"""
_SPANS_POSTGRESQL = """
WITH RECURSIVE span AS MATERIALIZED (
    SELECT * FROM unnest(%s::int[], %s::smallint[], %s::bigint[]) AS t(series_id, attempt_key, cut)
)"""


@dataclass(frozen=True)
class Series:
    """One metric of a run by step: what counts, and what later attempts superseded."""

    name: str
    counted: Columns = NOTHING
    superseded: Columns = NOTHING
    made_of: str | None = None  # of a role's series: the logged keys that it is made of
    average: Values | None = None  # at the counted points of a thinned series: that of all of them

    @property
    def steps(self) -> list[int]:
        """The steps that count."""
        found: list[int] = self.counted.steps.tolist()
        return found

    @property
    def values(self) -> list[float]:
        """The values that count."""
        found: list[float] = self.counted.values.tolist()
        return found


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
        columns = zip(*unique.values(), strict=True)
        connection.exec_driver_sql(_ADD_POSTGRESQL, tuple(map(_array, columns)))
    else:
        connection.exec_driver_sql(_ADD_SQLITE, list(rows))


def _array(column: Iterable[float]) -> str:
    """Return numbers as PostgreSQL reads an array: the driver takes ten times as long to write one."""
    return "{" + ",".join(map(repr, column)) + "}"


def read(
    connection: Connection,
    run_id: str,
    cuts: Mapping[int, int],
    *,
    only: Sequence[str] | None = None,
    since: int = 0,
    until: int = NO_END,
) -> list[Series]:
    """Return the run's series by name, or those named; steps from `since` to `until`, both included."""
    given: dict[str, Any] = {"run": run_id}
    if only is None:
        found = columns_of(connection, OF_RUN, given, since, until)
    else:
        found = columns_of(connection, OF_NAMES, given | {"names": list(only)}, since, until)
    by_name = sorted((name, columns) for (_, name), columns in found.items())
    return [_sorted_out(name, within(columns, since, until), cuts) for name, columns in by_name]


def _sorted_out(name: str, found: Columns, cuts: Mapping[int, int]) -> Series:
    """Return the series of these points of all attempts."""
    counts = counting(found, cuts)
    if counts.all():
        return Series(name, found)
    return Series(name, found.chosen(counts), found.chosen(~counts))


def effective(
    connection: Connection, ids: Mapping[int, str], cuts: Mapping[int, int], since: int = 0
) -> dict[int, dict[str, float]]:
    """Return {step: {name: value}} of the effective series of these ids, by rising step."""
    found: dict[int, dict[str, float]] = {}
    stored = columns_of(connection, BY_ID, {"ids": list(ids)}, since, NO_END)
    for (number, _), columns in stored.items():
        some = within(columns, since, NO_END)
        _add_to(found, ids[number], some.chosen(counting(some, cuts)))
    return dict(sorted(found.items()))


def of_attempt(
    connection: Connection, run_id: str, key: int, since: int, until: int
) -> dict[int, dict[str, float]]:
    """Return {step: {name: value}} of what one attempt logged from one step to another, by step."""
    found: dict[int, dict[str, float]] = {}
    for (_, name), columns in columns_of(connection, OF_RUN, {"run": run_id}, since, until).items():
        if name != AT:
            some = within(columns, since, until)
            _add_to(found, name, some.chosen(some.attempts == key))
    return dict(sorted(found.items()))


def _add_to(found: dict[int, dict[str, float]], name: str, one: Columns) -> None:
    for step, value in zip(one.steps.tolist(), one.values.tolist(), strict=True):
        found.setdefault(step, {})[name] = value


def names_by_run(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return what `names` does, for many runs at once."""
    found: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
    for run_id, name, number in driver_rows(connection, _NAMES_OF_ALL, {"runs": list(run_ids)}):
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
    found: dict[int, dict[int, float]] = {}
    if not spans:
        return {}
    asked = _RECENT.format(most=int(most), steps=BLOCK_STEPS)
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*spans, strict=True))
        rows = connection.exec_driver_sql(_SPANS_POSTGRESQL + asked, columns)
    else:
        rows = connection.exec_driver_sql(_SPANS_SQLITE + asked, (json.dumps(spans),))
    late: list[tuple[int, int, float]] = []
    for number, step, value, stride, size, packed, cut in rows.cursor.fetchall():
        if packed is None:
            late.append((number, step, value))
        else:
            steps, values = unpacked(Block(step, stride, size, packed))
            end = int(np.searchsorted(steps, cut))
            some = zip(steps[:end].tolist(), values[:end].tolist(), strict=True)
            found.setdefault(number, {}).update(some)
    rows.close()
    for number, step, value in late:  # a row is newer than what a block has of its step
        found.setdefault(number, {})[step] = value
    return {number: sorted(one.items())[-most:] for number, one in found.items()}
