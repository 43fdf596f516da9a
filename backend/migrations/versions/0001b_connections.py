"""Environments, connections, tests, client info."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0001b_connections"
down_revision = "0001a_accounts"


def _environment_id() -> sa.Column[int]:
    return sa.Column(
        "environment_id",
        BigId,
        sa.ForeignKey("environments.id", ondelete="CASCADE"),
        nullable=False,
    )


def upgrade() -> None:
    _environments()
    _connections()
    _tests()
    _client_info()


def _environments() -> None:
    op.create_table(
        "environments",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("name_key", sa.String(160), nullable=False),
        sa.Column("default_marker", sa.Integer),
        sa.Column("is_sandbox", sa.Boolean, nullable=False),
        sa.Column("is_production", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.UniqueConstraint("name_key", name="uq_environments_name_key"),
        sa.UniqueConstraint("default_marker", name="uq_environments_default"),
        **MYSQL_TABLE,
    )


def _connections() -> None:
    op.create_table(
        "connections",
        sa.Column("id", BigId, primary_key=True),
        _environment_id(),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.UniqueConstraint("environment_id", "kind", name="uq_connections_environment_kind"),
        **MYSQL_TABLE,
    )
    op.create_table(
        "connection_secrets",
        sa.Column("id", BigId, primary_key=True),
        _environment_id(),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("field", sa.String(60), nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.UniqueConstraint(
            "environment_id", "kind", "field", name="uq_connection_secrets_environment_kind_field"
        ),
        **MYSQL_TABLE,
    )


def _tests() -> None:
    op.create_table(
        "connection_tests",
        sa.Column("id", BigId, primary_key=True),
        _environment_id(),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("tested_at", UtcDateTime, nullable=False),
        sa.Column("tested_by", sa.String(255), nullable=False),
        sa.Column("draft", sa.Boolean, nullable=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("server_version", sa.String(200), nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("advice", sa.Text, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index(
        "ix_connection_tests_environment_kind",
        "connection_tests",
        ["environment_id", "kind", "id"],
    )


def _client_info() -> None:
    op.create_table(
        "datahub_client_info",
        sa.Column("id", BigId, primary_key=True),
        _environment_id(),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("server_id", sa.String(255), nullable=False),
        sa.Column("frontend_base_url", sa.String(1000), nullable=False),
        sa.Column("server_config", sa.JSON, nullable=False),
        sa.Column("connection_status", sa.String(20), nullable=False),
        sa.Column("error_message", sa.Text, nullable=False),
        sa.Column("last_connection_test", UtcDateTime),
        sa.Column("last_success_at", UtcDateTime),
        sa.Column("failing_since", UtcDateTime),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("last_updated", UtcDateTime, nullable=False),
        sa.UniqueConstraint("environment_id", name="uq_datahub_client_info_environment"),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    for table in (
        "datahub_client_info",
        "connection_tests",
        "connection_secrets",
        "connections",
        "environments",
    ):
        op.drop_table(table)
