"""last lines of what workers write, and who cancelled a job"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_logs",
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("token", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "token", name=op.f("pk_job_logs")),
    )
    op.add_column("jobs", sa.Column("cancelled_by", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "cancelled_by")
    op.drop_table("job_logs")
