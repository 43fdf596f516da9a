"""User sync: a file of people may be the directory; departments mapped to domains."""

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
    op.create_table(
        "user_sync_domain_map",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.String(256), nullable=False),
        sa.Column("domain", LongText, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(255), nullable=True),
        **MYSQL_TABLE,
    )
    op.create_index("ix_user_sync_domain_map", "user_sync_domain_map", ["environment_id", "id"])


def downgrade() -> None:
    op.drop_table("user_sync_domain_map")
    op.drop_table("user_sync_uploads")
