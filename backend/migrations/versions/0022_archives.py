"""Where the audit log goes on behind the events that left it for archives."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, UtcDateTime

revision = "0022_archives"
down_revision = "0021_releases"


def upgrade() -> None:
    op.create_table(
        "audit_archives",
        sa.Column("last", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_hash", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("archived_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    op.drop_table("audit_archives")
