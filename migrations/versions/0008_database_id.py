"""an id of the database itself, so that an open page notices that it talks to another one"""

import sqlalchemy as sa
from alembic import op

from cusp.ids import new_id

revision = "0008"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "installation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.bulk_insert(table, [{"id": new_id()}])


def downgrade() -> None:
    op.drop_table("installation")
