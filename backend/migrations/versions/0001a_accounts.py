"""Accounts, sessions, tickets, API tokens, back-off counters."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0001a_accounts"
down_revision = "0001_core"


def upgrade() -> None:
    _accounts()
    _sign_in()
    op.create_table(
        "api_tokens",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(150), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False, unique=True),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("last_used_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("revoked_by", sa.String(255), nullable=False),
        **MYSQL_TABLE,
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(150), nullable=False),
        sa.Column("name_key", sa.String(150), nullable=False, unique=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("password_hash", sa.String(200)),
        sa.Column("password_changed_at", UtcDateTime),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("external_key", sa.String(64), unique=True),
        sa.Column("external_issued_at", sa.BigInteger),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("last_sign_in_at", UtcDateTime),
        sa.Column("version", sa.Integer, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_table(
        "account_sessions",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("account_id", BigId, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("last_seen_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("ended_reason", sa.String(40), nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_account_sessions_account", "account_sessions", ["account_id", "id"])


def _sign_in() -> None:
    op.create_table(
        "sign_in_tickets",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("ticket_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("account_id", BigId, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("browser_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("used_at", UtcDateTime),
        **MYSQL_TABLE,
    )
    op.create_index("ix_sign_in_tickets_expires", "sign_in_tickets", ["expires_at"])
    op.create_table(
        "sign_in_backoff",
        sa.Column("key", sa.String(80), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_failure_at", UtcDateTime, nullable=False),
        sa.Column("blocked_until", UtcDateTime),
        **MYSQL_TABLE,
    )
    op.create_index("ix_sign_in_backoff_last", "sign_in_backoff", ["last_failure_at"])


def downgrade() -> None:
    for table in (
        "api_tokens",
        "sign_in_backoff",
        "sign_in_tickets",
        "account_sessions",
        "accounts",
    ):
        op.drop_table(table)
