"""searching and paging runs; what of a run's messages was left out"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_LISTED = (("created_at", "id"), ("project", "created_at", "id"), ("status", "created_at", "id"))


def upgrade() -> None:
    op.add_column("runs", sa.Column("left_out", sa.JSON(), nullable=True))
    op.create_table(
        "run_search",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_search_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_search")),
    )
    there = sa.text("deleted_at IS NULL")
    for columns in _LISTED:
        name = f"ix_runs_listed_{columns[0]}"
        op.create_index(name, "runs", list(columns), sqlite_where=there, postgresql_where=there)
    op.create_index(op.f("ix_runs_name"), "runs", ["name"])
    _fill()


def _fill() -> None:
    """Make the runs that are there findable; the words as `monitor.store.run_list.words` makes them."""
    connection = op.get_bind()
    found = connection.execute(sa.text("SELECT id, name, project, tags FROM runs")).all()
    rows = []
    for run_id, name, project, tags in found:
        labels = json.loads(tags) if isinstance(tags, str) else tags or []
        rows.append({"run_id": run_id, "words": " ".join([name, project, *labels]).casefold()})
    if rows:
        into = sa.text("INSERT INTO run_search (run_id, words) VALUES (:run_id, :words)")
        connection.execute(into, rows)


def downgrade() -> None:
    op.drop_index(op.f("ix_runs_name"), "runs")
    for columns in _LISTED:
        op.drop_index(f"ix_runs_listed_{columns[0]}", "runs")
    op.drop_table("run_search")
    op.drop_column("runs", "left_out")
