"""The last stored points of many series in one statement: what a table of runs draws.

A series is read in spans, the steps at which one attempt counts; each gives its last points, however far
apart their steps are.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection


class Span(NamedTuple):
    """The steps of one series at which one attempt counts: those before `cut`."""

    series_id: int
    attempt_key: int
    cut: int


# The correlated subquery finds the step at which the last points begin, by the primary key.
_POINTS = """
SELECT p.series_id, p.step, p.value FROM span
JOIN points AS p ON p.series_id = span.series_id AND p.attempt_key = span.attempt_key AND p.step < span.cut
AND p.step >= coalesce((
    SELECT q.step FROM points AS q
    WHERE q.series_id = span.series_id AND q.attempt_key = span.attempt_key AND q.step < span.cut
    ORDER BY q.step DESC LIMIT 1 OFFSET {offset}
), 0)
"""
_SQLITE = """
WITH span AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS series_id, json_extract(value, '$[1]') AS attempt_key,
           json_extract(value, '$[2]') AS cut FROM json_each(?)
)
"""
_POSTGRESQL = """
WITH span AS MATERIALIZED (
    SELECT * FROM unnest(%s::int[], %s::smallint[], %s::bigint[]) AS t(series_id, attempt_key, cut)
)
"""


def points(
    connection: Connection, spans: Sequence[Span], most: int
) -> dict[int, list[tuple[int, float]]]:
    """Return {series id: its last (step, value)s that count, at most `most`, by step}."""
    found: dict[int, list[tuple[int, float]]] = {}
    if not spans:
        return found
    asked = _POINTS.format(offset=int(most) - 1)
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*spans, strict=True))
        rows = connection.exec_driver_sql(_POSTGRESQL + asked, columns)
    else:
        rows = connection.exec_driver_sql(_SQLITE + asked, (json.dumps(spans),))
    for number, step, value in rows.cursor.fetchall():
        found.setdefault(number, []).append((step, value))
    rows.close()
    return {number: sorted(one)[-most:] for number, one in found.items()}
