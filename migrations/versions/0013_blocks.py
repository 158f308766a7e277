"""points packed by 256 steps, and up to which step an attempt's are"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blocks",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("attempt_key", sa.SmallInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("stride", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name=op.f("fk_blocks_series_id_series")
        ),
        sa.PrimaryKeyConstraint("series_id", "attempt_key", "block", name=op.f("pk_blocks")),
    )
    op.add_column(
        "attempts", sa.Column("packed_to", sa.BigInteger(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    op.drop_column("attempts", "packed_to")
    op.drop_table("blocks")
