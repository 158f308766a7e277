"""Blocks of points: written once their steps are complete, each read in place of 256 rows.

A block holds what one attempt logged of one series at the steps `[n * BLOCK_STEPS, (n + 1) * BLOCK_STEPS)`.
It repeats rows of `points`, which stay. `attempts.packed_to` says up to which step an attempt's blocks are
there and right: a point that comes late sets it back, and what is from there on is packed again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Connection,
    Double,
    Select,
    SmallInteger,
    bindparam,
    cast,
    func,
    null,
    or_,
    select,
    union_all,
    update,
)

from monitor.database.schema import attempts, blocks, points, series
from monitor.database.upsert import insert_or_update
from monitor.store.packed.columns import (
    NOTHING,
    Block,
    Columns,
    block_of,
    joined,
    of_block,
    of_rows,
)

BLOCK_STEPS = 256  # so many rows are read as rows at most; a block of 2 KB is read in 3 us
MOST_POINTS = 40_000  # that one transaction packs: some 60 ms, while other writers may wait
SPARSEST = 32  # steps from one message to the next; beyond, a block would hold too little
MOST_SPANS = (
    50  # in one statement; SQLite takes 500 parts of a UNION, a run rarely has more than a few
)

_NAMED = series.c.name.in_(bindparam("names", expanding=True))
_IDS = select(series.c.id).where(series.c.run_id == bindparam("run"))
_ATTEMPTS = select(
    attempts.c.id,
    attempts.c.run_id,
    attempts.c.key,
    attempts.c.first_step,
    attempts.c.last_step,
    attempts.c.packed_to,
    attempts.c.next_seq,
    attempts.c.status,
).where(attempts.c.run_id == bindparam("run"))


class _Span(NamedTuple):
    """Steps of one attempt to read as rows, both included."""

    low: int
    high: int
    key: int


@lru_cache(maxsize=64)
def _names_and_rows(ids: Select[tuple[int]], spans: int) -> CompoundSelect[Any] | Select[Any]:
    """Return the statement for the series of `ids` and, behind them, their points in so many spans.

    Of a series the last column is its name, of a point it is NULL.
    """
    nothing = (cast(null(), kind) for kind in (BigInteger, SmallInteger, Double))
    names = select(series.c.id, *nothing, series.c.name).where(series.c.id.in_(ids))
    columns = (points.c.series_id, points.c.step, points.c.attempt_key, points.c.value, null())
    rows = [
        select(*columns).where(
            points.c.series_id.in_(ids),
            points.c.step.between(bindparam(f"low_{n}"), bindparam(f"high_{n}")),
            points.c.attempt_key == bindparam(f"key_{n}"),
        )
        for n in range(spans)
    ]
    return union_all(names, *rows) if rows else names


def _blocks_of(ids: Select[tuple[int]]) -> Select[Any]:
    """Return the statement for the blocks of all attempts."""
    kept = (blocks.c.first, blocks.c.stride, blocks.c.size, blocks.c.packed)
    return select(blocks.c.series_id, blocks.c.attempt_key, blocks.c.block, *kept).where(
        blocks.c.series_id.in_(ids), blocks.c.block.between(bindparam("low"), bindparam("high"))
    )


_SOME_IDS = _IDS.where(_NAMED)
_BLOCKS, _SOME_BLOCKS = _blocks_of(_IDS), _blocks_of(_SOME_IDS)
_UNPACKED = (
    select(points.c.series_id, points.c.step, points.c.value)
    .where(
        points.c.series_id.in_(select(series.c.id).where(series.c.run_id == bindparam("run"))),
        points.c.step >= bindparam("since"),
        points.c.step < bindparam("until"),
        points.c.attempt_key == bindparam("key"),
    )
    .order_by(points.c.series_id, points.c.step)
)
_WAITING = (
    select(attempts.c.run_id)
    .where(
        # All of what has ended, the complete blocks of what has not.
        or_(
            attempts.c.last_step >= attempts.c.packed_to + BLOCK_STEPS,
            (attempts.c.last_step >= attempts.c.packed_to)
            & (attempts.c.last_step >= BLOCK_STEPS)
            & (attempts.c.status != "running"),
        ),
        attempts.c.last_step - attempts.c.first_step <= SPARSEST * attempts.c.next_seq,
    )
    .distinct()
)


def columns_of(
    connection: Connection,
    run_id: str,
    since: int,
    until: int,
    only: Sequence[str] | None = None,
    attempt_rows: Sequence[Any] | None = None,
) -> dict[str, Columns]:
    """Return the points of all attempts by series name, from one step to another, both included.

    `only` names the series to read; `attempt_rows` are the run's attempts, where they were read before. Where
    blocks are, only these are read: of those at either end steps beyond the asked ones come along.
    """
    given: dict[str, Any] = {"run": run_id}
    ids, asked_blocks = _IDS, _BLOCKS
    if only is not None:
        given["names"] = list(only)
        ids, asked_blocks = _SOME_IDS, _SOME_BLOCKS
    found = _attempts(connection, run_id) if attempt_rows is None else attempt_rows
    names, rows = _read_rows(connection, ids, given, _unpacked_spans(found, since, until))
    parts: dict[int, list[Columns]] = {number: [] for number in names}
    packed = {row.key: row.packed_to // BLOCK_STEPS for row in found if row.packed_to > since}
    if packed:
        ends = {"low": since // BLOCK_STEPS, "high": until // BLOCK_STEPS}
        for number, key, place, *block in driver_rows(connection, asked_blocks, given | ends):
            if place < packed.get(key, 0):
                parts[number].append(of_block(Block(*block), key))
    for number, some in rows.items():
        parts[number].append(of_rows(some))
    return {names[number]: joined(one) if one else NOTHING for number, one in parts.items()}


def _read_rows(
    connection: Connection, ids: Select[tuple[int]], given: Mapping[str, Any], spans: list[_Span]
) -> tuple[dict[int, str], dict[int, list[tuple[int, int, float]]]]:
    """Return the names of the series by id, and (step, attempt key, value) of their points in the spans."""
    names: dict[int, str] = {}
    rows: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
    for first in range(0, max(1, len(spans)), MOST_SPANS):
        some = spans[first : first + MOST_SPANS]
        bounds = {f"{k}_{n}": v for n, one in enumerate(some) for k, v in one._asdict().items()}
        asked = _names_and_rows(ids, len(some))
        for number, step, key, value, name in driver_rows(connection, asked, {**given, **bounds}):
            if name is None:
                rows[number].append((step, key, value))
            else:
                names[number] = name
    return names, rows


def _unpacked_spans(found: Iterable[Any], since: int, until: int) -> list[_Span]:
    """Return what has to be read as rows."""
    ends = ((row, -1 if row.last_step is None else min(until, row.last_step)) for row in found)
    spans = (_Span(max(since, row.packed_to), high, row.key) for row, high in ends)
    return [one for one in spans if one.low <= one.high]


def driver_rows(connection: Connection, statement: Any, given: Mapping[str, Any]) -> list[Any]:
    """Return plain tuples of numbers: SQLAlchemy's rows would take three times as long to make."""
    found = connection.execute(statement, given)
    rows: list[Any] = list(found.cursor.fetchall())
    found.close()
    return rows


def waiting(connection: Connection) -> Sequence[str]:
    """Return the runs that have attempts with steps to pack."""
    return connection.execute(_WAITING).scalars().all()


def pack_some(connection: Connection, run_id: str) -> bool:
    """Pack some more of the run's steps, which must be locked; return whether there may be more."""
    due = [row for row in _attempts(connection, run_id) if _is_due(row)]
    if due:
        _pack(connection, due[0], _series_count(connection, run_id))
    return bool(due)


def _attempts(connection: Connection, run_id: str) -> Sequence[Any]:
    return connection.execute(_ATTEMPTS, {"run": run_id}).all()


def _is_due(row: Any) -> bool:
    """Return what `_WAITING` asks of an attempt."""
    if row.last_step is None or row.last_step - row.first_step > SPARSEST * row.next_seq:
        return False
    return _end(row) > int(row.packed_to) // BLOCK_STEPS


def _end(row: Any) -> int:
    """Return the first block of an attempt that may still grow."""
    over = row.status != "running" and row.last_step >= BLOCK_STEPS
    return int(row.last_step // BLOCK_STEPS + over)


def _series_count(connection: Connection, run_id: str) -> int:
    asked = select(func.count()).select_from(series).where(series.c.run_id == run_id)
    return int(connection.execute(asked).scalar_one())


def _pack(connection: Connection, attempt: Any, series_count: int) -> None:
    """Pack the attempt's next complete blocks and say so in its row."""
    most = max(1, MOST_POINTS // (BLOCK_STEPS * max(1, series_count)))
    begin = max(attempt.packed_to, attempt.first_step) // BLOCK_STEPS
    end = min(begin + most, _end(attempt))
    given = {
        "run": attempt.run_id,
        "key": attempt.key,
        "since": begin * BLOCK_STEPS,
        "until": end * BLOCK_STEPS,
    }
    rows = []
    found = driver_rows(connection, _UNPACKED, given)
    if found:
        numbers, steps, values = (np.array([row[place] for row in found]) for place in range(3))
        places = numbers * (end - begin) + (steps // BLOCK_STEPS - begin)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        for low, high in zip(starts, [*starts[1:], len(places)], strict=True):
            block = block_of(steps[low:high], values[low:high].astype(np.float64))
            place = {
                "series_id": int(numbers[low]),
                "attempt_key": attempt.key,
                "block": int(steps[low] // BLOCK_STEPS),
            }
            rows.append({**place, **block._asdict()})
    insert_or_update(connection, blocks, rows)
    connection.execute(
        update(attempts).where(attempts.c.id == attempt.id).values(packed_to=end * BLOCK_STEPS)
    )


def still_packed(attempt: Any, first_step: int) -> dict[str, int]:
    """Return the column of the attempt that a batch with this first step changes: what is packed and stale."""
    if first_step >= attempt.packed_to:
        return {}
    return {"packed_to": first_step // BLOCK_STEPS * BLOCK_STEPS}
