"""attempts in the order the monitor gives them, with their signs of life and what superseded them"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("place", sa.Integer(), nullable=False, server_default="0"))
    # Until now their order was that of their ids.
    op.execute(
        "UPDATE attempts SET place = (SELECT count(*) FROM attempts earlier"
        " WHERE earlier.run_id = attempts.run_id AND earlier.id < attempts.id)"
    )
    op.add_column("attempts", sa.Column("after", sa.String(length=26), nullable=True))
    op.add_column("attempts", sa.Column("late", sa.Boolean(), nullable=True))
    for name in ("superseded_at", "began_at", "last_at", "late_at"):
        op.add_column("attempts", sa.Column(name, sa.Double(), nullable=True))
    for name in ("outrun", "withheld"):
        op.add_column(
            "attempts", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )


def downgrade() -> None:
    for name in ("withheld", "outrun", "late_at", "last_at", "began_at", "superseded_at"):
        op.drop_column("attempts", name)
    op.drop_column("attempts", "late")
    op.drop_column("attempts", "after")
    op.drop_column("attempts", "place")
