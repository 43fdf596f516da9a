"""Sign-in with an identity provider on the portal's own routes: its state, and its sessions."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0010_identity_providers"
down_revision = "0009_any_directory"


def upgrade() -> None:
    op.drop_column("accounts", "external_issued_at")
    op.create_table(
        "provider_flows",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("state_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("browser_hash", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(150), nullable=False),
        sa.Column("nonce", sa.String(100), nullable=False),
        sa.Column("code_verifier", sa.String(128), nullable=False),
        sa.Column("next_path", sa.String(2000), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_provider_flows_browser", "provider_flows", ["browser_hash"])
    op.create_index("ix_provider_flows_expires", "provider_flows", ["expires_at"])
    op.create_table(
        "provider_sessions",
        sa.Column(
            "session_id",
            BigId,
            sa.ForeignKey("account_sessions.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("provider", sa.String(150), nullable=False),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("sid_hash", sa.String(64), nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("check_at", UtcDateTime),
        **MYSQL_TABLE,
    )
    op.create_index("ix_provider_sessions_check", "provider_sessions", ["check_at"])
    op.create_index("ix_provider_sessions_subject", "provider_sessions", ["subject_hash"])


def downgrade() -> None:
    op.drop_table("provider_sessions")
    op.drop_table("provider_flows")
    op.add_column("accounts", sa.Column("external_issued_at", sa.BigInteger))
