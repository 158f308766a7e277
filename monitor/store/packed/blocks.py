"""Blocks of points: written once their steps are complete, each in place of 256 rows.

A block holds what one attempt logged of one series at the steps `[n * BLOCK_STEPS, (n + 1) * BLOCK_STEPS)`.
Its rows of `points` go as it is written, in one transaction: a point is either in a block or a row. A row is always
the newer of the two: a point that comes late, at a step that is packed already, is a row until the block is
packed again with it. `attempts.packed_to` says from which step on an attempt may have rows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Connection,
    Double,
    Integer,
    LargeBinary,
    Select,
    SmallInteger,
    String,
    bindparam,
    cast,
    delete,
    func,
    null,
    or_,
    select,
    union,
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
    unpacked,
)

BLOCK_STEPS = 256  # so many rows are read as rows at most; a block of 2 KB is read in 3 us
MOST_POINTS = 20_000  # that one transaction packs: some 60 ms, while other writers may wait
SPARSEST = 32  # steps from one message to the next; beyond, a block would hold too little

OF_RUN = select(series.c.id).where(series.c.run_id == bindparam("run"))
OF_NAMES = OF_RUN.where(series.c.name.in_(bindparam("names", expanding=True)))
_SECTIONS = union(
    select(blocks.c.block).where(blocks.c.series_id.in_(OF_RUN)),
    select(points.c.step // BLOCK_STEPS).where(points.c.series_id.in_(OF_RUN)),
)
BY_ID = select(series.c.id).where(series.c.id.in_(bindparam("ids", expanding=True)))
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


@lru_cache
def _stored(ids: Select[tuple[int]]) -> CompoundSelect[Any]:
    """Return the statement for series of these ids: their names, blocks and rows, told apart by what is NULL.

    One statement, so that a packing that goes on beside it moves nothing from one part to another.
    """
    names = (
        series.c.id,
        cast(null(), SmallInteger),
        cast(null(), BigInteger),
        cast(null(), Double),
        cast(null(), BigInteger),
        cast(null(), Integer),
        cast(null(), LargeBinary),
        series.c.name,
    )
    kept = (blocks.c.stride, blocks.c.size, blocks.c.packed, cast(null(), String))
    some_blocks = (blocks.c.series_id, blocks.c.attempt_key, blocks.c.first, null(), *kept)
    rows = (points.c.series_id, points.c.attempt_key, points.c.step, points.c.value)
    return union_all(
        select(*names).where(series.c.id.in_(ids)),
        select(*some_blocks).where(
            blocks.c.series_id.in_(ids),
            blocks.c.block.between(bindparam("first_block"), bindparam("last_block")),
        ),
        select(*rows, null(), null(), null(), null()).where(
            points.c.series_id.in_(ids),
            points.c.step.between(bindparam("since"), bindparam("until")),
        ),
    )


_OF_KEY = (
    points.c.series_id.in_(OF_RUN),
    points.c.step >= bindparam("since"),
    points.c.step < bindparam("until"),
    points.c.attempt_key == bindparam("key"),
)
_UNPACKED = (
    select(points.c.series_id, points.c.step, points.c.value)
    .where(*_OF_KEY)
    .order_by(points.c.series_id, points.c.step)
)
_PACKED_ROWS = delete(points).where(*_OF_KEY)
_PACKED = select(
    blocks.c.series_id,
    blocks.c.block,
    blocks.c.first,
    blocks.c.stride,
    blocks.c.size,
    blocks.c.packed,
).where(
    blocks.c.series_id.in_(bindparam("ids", expanding=True)),
    blocks.c.attempt_key == bindparam("key"),
    blocks.c.block.in_(bindparam("blocks", expanding=True)),
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
    connection: Connection, ids: Select[tuple[int]], given: dict[str, Any], since: int, until: int
) -> dict[tuple[int, str], Columns]:
    """Return the points of all attempts by (series id, name), from one step to another, both included.

    `ids` is OF_RUN, OF_NAMES or BY_ID, `given` its parameters. Of blocks at either end steps beyond the asked
    ones come along.
    """
    asked = {
        "since": since,
        "until": until,
        "first_block": since // BLOCK_STEPS,
        "last_block": until // BLOCK_STEPS,
    }
    names: dict[int, str] = {}
    parts: dict[int, list[Columns]] = defaultdict(list)
    rows: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
    found = driver_rows(connection, _stored(ids), given | asked)
    for number, key, step, value, stride, size, packed, name in found:
        if value is not None:
            rows[number].append((step, key, value))
        elif name is None:
            parts[number].append(of_block(Block(step, stride, size, packed), key))
        else:
            names[number] = name
    for number, some in rows.items():
        parts[number].append(of_rows(some))  # behind the blocks: a row is newer
    return {(n, name): joined(parts[n]) if n in parts else NOTHING for n, name in names.items()}


def stretches(connection: Connection, run_id: str, most: int) -> list[tuple[int, int]]:
    """Return [(first step, last step)] that together have all of the run's points, by step.

    Each has about `most` points of what one attempt logged, if that is not less than one block of every series.
    """
    sections = sorted(row[0] for row in driver_rows(connection, _SECTIONS, {"run": run_id}))
    wide = max(1, most // (BLOCK_STEPS * max(1, _series_count(connection, run_id))))
    some = (sections[place : place + wide] for place in range(0, len(sections), wide))
    return [(one[0] * BLOCK_STEPS, (one[-1] + 1) * BLOCK_STEPS - 1) for one in some]


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
    """Pack the attempt's next complete blocks, drop their rows, and say so in its row."""
    most = max(1, MOST_POINTS // (BLOCK_STEPS * max(1, series_count)))
    begin = max(attempt.packed_to, attempt.first_step) // BLOCK_STEPS
    end = min(begin + most, _end(attempt))
    given = {
        "run": attempt.run_id,
        "key": attempt.key,
        "since": begin * BLOCK_STEPS,
        "until": end * BLOCK_STEPS,
    }
    found = driver_rows(connection, _UNPACKED, given)
    if found:
        insert_or_update(connection, blocks, _blocks_of(connection, attempt.key, found))
        connection.execute(_PACKED_ROWS, given)
    connection.execute(
        update(attempts).where(attempts.c.id == attempt.id).values(packed_to=end * BLOCK_STEPS)
    )


def _blocks_of(connection: Connection, key: int, found: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the blocks of (series id, step, value) rows of one attempt, in this order.

    With a row that came late, what the block held before is in it again.
    """
    numbers, steps, values = (np.array([row[place] for row in found]) for place in range(3))
    steps, values = steps.astype(np.int64), values.astype(np.float64)
    places = steps // BLOCK_STEPS
    changes = (np.diff(numbers, prepend=-1) != 0) | (np.diff(places, prepend=-1) != 0)
    starts = np.flatnonzero(changes)
    before = _before(connection, key, set(numbers.tolist()), set(places.tolist()))
    made = []
    for low, high in zip(starts, [*starts[1:], len(steps)], strict=True):
        place = int(numbers[low]), int(places[low])
        new = Columns(steps[low:high], values[low:high], np.full(high - low, key, np.int64))
        whole = joined([of_block(before[place], key), new]) if place in before else new
        block = block_of(whole.steps, whole.values)
        if not all(map(np.array_equal, unpacked(block), whole[:2])):
            raise ValueError(f"a block of series {place[0]} does not hold what its rows say")
        row = {"series_id": place[0], "attempt_key": key, "block": place[1]}
        made.append({**row, **block._asdict()})
    return made


def _before(
    connection: Connection, key: int, numbers: set[int], places: set[int]
) -> dict[tuple[int, int], Block]:
    """Return the blocks that there are already, by series id and place."""
    given = {"ids": sorted(numbers), "blocks": sorted(places), "key": key}
    rows = driver_rows(connection, _PACKED, given)
    return {(number, place): Block(*block) for number, place, *block in rows}


def still_packed(attempt: Any, first_step: int) -> dict[str, int]:
    """Return the column of the attempt that a batch with this first step changes: from where on there are rows."""
    if first_step >= attempt.packed_to:
        return {}
    return {"packed_to": first_step // BLOCK_STEPS * BLOCK_STEPS}
