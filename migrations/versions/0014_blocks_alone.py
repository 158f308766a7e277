"""points that are packed are in blocks alone: all are packed anew, and their rows go with it"""

import struct

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_AT_ONCE = 500  # blocks, of 256 points at most


def upgrade() -> None:
    # The rows are all there still. A monitor packs them again, 20,000 in a transaction, and drops them.
    op.execute("DELETE FROM blocks")
    op.execute("UPDATE attempts SET packed_to = 0")


def downgrade() -> None:
    """Write the points of the blocks as rows, where there is no newer one."""
    connection = op.get_bind()
    numbers = (sa.Integer, sa.SmallInteger, sa.BigInteger, sa.BigInteger, sa.BigInteger, sa.Integer)
    names = ("series_id", "attempt_key", "block", "first", "stride", "size")
    columns = [sa.column(name, kind) for name, kind in zip(names, numbers, strict=True)]
    blocks = sa.table("blocks", *columns, sa.column("packed", sa.LargeBinary))
    asked = sa.select(blocks).order_by(*(blocks.c[name] for name in names[:3])).limit(_AT_ONCE)
    known = sa.tuple_(*(blocks.c[name] for name in names[:3]))
    add = sa.text(
        "INSERT INTO points (series_id, step, attempt_key, value)"
        " VALUES (:series_id, :step, :attempt_key, :value) ON CONFLICT DO NOTHING"
    )
    while found := connection.execute(asked).all():
        connection.execute(add, [point for row in found for point in _points(row)])
        last = tuple(getattr(found[-1], name) for name in names[:3])
        connection.execute(sa.delete(blocks).where(known <= sa.tuple_(*map(sa.literal, last))))
    op.execute("UPDATE attempts SET packed_to = 0")


def _points(row: sa.Row) -> list[dict[str, float]]:
    """Return the rows of a block: values of 4 or 8 bytes, and its steps behind them where they are uneven."""
    wide = len(row.packed) // row.size - (0 if row.stride else 8)
    kind = {4: "f", 8: "d"}[wide]
    held = memoryview(row.packed)
    values = struct.unpack(f"<{row.size}{kind}", held[: wide * row.size])
    if row.stride:
        steps = tuple(row.first + row.stride * n for n in range(row.size))
    else:
        steps = struct.unpack(f"<{row.size}q", held[wide * row.size :])
    key = {"series_id": row.series_id, "attempt_key": row.attempt_key}
    return [{**key, "step": s, "value": v} for s, v in zip(steps, values, strict=True)]
