"""an id of the database itself, so that an open page notices that it talks to another one;
sentences of earlier versions that said more than was known are made anew"""

import sqlalchemy as sa
from alembic import op

from cusp.ids import new_id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SAID_TOO_MUCH = ("The run is steady.", "The format reward is still rising.")


def upgrade() -> None:
    table = op.create_table(
        "installation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.bulk_insert(table, [{"id": new_id()}])
    _say_what_is_known()


def _say_what_is_known() -> None:
    runs = sa.table("runs", sa.column("id", sa.String), sa.column("verdict", sa.JSON))
    connection = op.get_bind()
    for run_id, verdict in connection.execute(sa.select(runs.c.id, runs.c.verdict)).all():
        if verdict and str(verdict.get("words", "")).startswith(_SAID_TOO_MUCH):
            said = (
                f"By step {verdict['step']} no transition is seen: evidence {verdict['score']:.0f},"
                f" confirmed at {verdict['confirm']:.0f}."
            )
            new = {**verdict, "words": said}
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(verdict=new))


def downgrade() -> None:
    op.drop_table("installation")
