"""workers and the recipes they know; a job may have a run id before its run is announced"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("box", sa.String(length=200), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("recipes", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("fk_jobs_run_id_runs"), type_="foreignkey")


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE run_id NOT IN (SELECT id FROM runs)")
    with op.batch_alter_table("jobs") as jobs:
        jobs.create_foreign_key(op.f("fk_jobs_run_id_runs"), "runs", ["run_id"], ["id"])
    op.drop_table("workers")
