"""Logout tokens that were obeyed, so that each serves once."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0033_provider_logouts"
down_revision = "0032_pairs_of_filters"


def upgrade() -> None:
    op.create_table(
        "provider_logouts",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_provider_logouts_expires", "provider_logouts", ["expires_at"])


def downgrade() -> None:
    op.drop_table("provider_logouts")
