"""notes on a run; last, least and greatest value of each of its series for the runs table"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("notes", sa.Text(), nullable=True))
    op.create_table(
        "run_values",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_values_run_id_runs")),
        sa.PrimaryKeyConstraint("name", "run_id", name=op.f("pk_run_values")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_values_run_id"), "run_values", ["run_id"])
    op.create_table(
        "run_summaries",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("shape", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_summaries_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_summaries")),
    )


def downgrade() -> None:
    op.drop_table("run_summaries")
    op.drop_table("run_values")
    op.drop_column("runs", "notes")
