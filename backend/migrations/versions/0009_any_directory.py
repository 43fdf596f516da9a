"""User sync: a file of people may be the directory."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, LongText, UtcDateTime

revision = "0009_any_directory"
down_revision = "0008_settings_of_a_test"


def upgrade() -> None:
    op.create_table(
        "user_sync_uploads",
        sa.Column("environment_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("content", LongText, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", UtcDateTime(), nullable=False),
        sa.Column("uploaded_by", sa.String(255), nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    op.drop_table("user_sync_uploads")
