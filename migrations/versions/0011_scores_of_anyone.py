"""scores of anyone's run: rows with their texts, evaluations without a job, the problems of a task"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WITHOUT_ROWID = {
    "sqlite_with_rowid": False
}  # lost when SQLite rebuilds the table, unless told again


def upgrade() -> None:
    with op.batch_alter_table("evaluations") as evaluations:
        evaluations.alter_column("job_id", existing_type=sa.String(length=26), nullable=True)
        evaluations.add_column(
            sa.Column("source", sa.String(length=32), nullable=False, server_default="worker")
        )
        evaluations.add_column(sa.Column("author", sa.String(length=200), nullable=True))
        evaluations.add_column(
            sa.Column("text_chars", sa.BigInteger(), nullable=False, server_default="0")
        )
    with op.batch_alter_table("evaluation_rows", table_kwargs=WITHOUT_ROWID) as rows:
        rows.alter_column(
            "problem_id",
            existing_type=sa.String(length=64),
            type_=sa.String(length=200),
            existing_nullable=False,
        )
        rows.alter_column("tokens", existing_type=sa.Integer(), nullable=True)
        rows.alter_column("finish_reason", existing_type=sa.String(length=16), nullable=True)
        rows.alter_column("seed", existing_type=sa.BigInteger(), nullable=True)
        rows.add_column(sa.Column("text", sa.Text(), nullable=True))
        rows.add_column(sa.Column("answer", sa.Text(), nullable=True))
    op.create_table(
        "evaluation_problems",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("task", sa.String(length=200), nullable=False),
        sa.Column("problem_id", sa.String(length=200), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("gold", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_evaluation_problems_run_id_runs")
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "task", "problem_id", name=op.f("pk_evaluation_problems")
        ),
    )


def downgrade() -> None:
    op.drop_table("evaluation_problems")
    # What the former tables cannot hold goes: evaluations without a job, problems with a long id.
    op.execute(
        "DELETE FROM evaluation_rows WHERE evaluation_id IN"
        " (SELECT id FROM evaluations WHERE job_id IS NULL)"
    )
    op.execute("DELETE FROM evaluation_rows WHERE length(problem_id) > 64")
    op.execute("DELETE FROM evaluations WHERE job_id IS NULL")
    with op.batch_alter_table("evaluation_rows", table_kwargs=WITHOUT_ROWID) as rows:
        rows.drop_column("answer")
        rows.drop_column("text")
        rows.alter_column("seed", existing_type=sa.BigInteger(), nullable=False)
        rows.alter_column("finish_reason", existing_type=sa.String(length=16), nullable=False)
        rows.alter_column("tokens", existing_type=sa.Integer(), nullable=False)
        rows.alter_column(
            "problem_id",
            existing_type=sa.String(length=200),
            type_=sa.String(length=64),
            existing_nullable=False,
        )
    with op.batch_alter_table("evaluations") as evaluations:
        evaluations.drop_column("text_chars")
        evaluations.drop_column("author")
        evaluations.drop_column("source")
        evaluations.alter_column("job_id", existing_type=sa.String(length=26), nullable=False)
