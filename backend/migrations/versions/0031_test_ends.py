"""When the tokens of a tested connection end, which an alert would else read from a sentence."""

import sqlalchemy as sa
from alembic import op

revision = "0031_test_ends"
down_revision = "0030_ingestion_schedules"


def upgrade() -> None:
    op.add_column("connection_tests", sa.Column("ends", sa.JSON))


def downgrade() -> None:
    with op.batch_alter_table("connection_tests") as batch:
        batch.drop_column("ends")
