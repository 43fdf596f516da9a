"""Change requests that are carried out in an order."""

import sqlalchemy as sa
from alembic import op

revision = "0021_releases"
down_revision = "0020_history"


def upgrade() -> None:
    op.add_column("changes", sa.Column("after_id", sa.BigInteger))


def downgrade() -> None:
    with op.batch_alter_table("changes") as batch:
        batch.drop_column("after_id")
