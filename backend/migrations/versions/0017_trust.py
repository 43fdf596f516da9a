"""Connections: whose certificates an environment trusts, and what a test saw of them."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import LongText

revision = "0017_trust"
down_revision = "0016_rewrite_mode"


def upgrade() -> None:
    op.add_column("environments", sa.Column("ca", LongText, nullable=True))
    op.add_column(
        "environments",
        sa.Column("verify_tls", sa.Boolean, nullable=False, server_default=sa.true()),
    )
    op.add_column("connection_tests", sa.Column("tls", sa.JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("connection_tests", "tls")
    op.drop_column("environments", "verify_tls")
    op.drop_column("environments", "ca")
