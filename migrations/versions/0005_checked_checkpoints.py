"""when the box that holds a checkpoint last said what it found there"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("checked_at", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("checkpoints", "checked_at")
