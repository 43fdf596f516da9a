"""User sync."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0002_user_sync"
down_revision = "0001b_connections"


def upgrade() -> None:
    _plans()
    _rows()
    _runs()
    _items()
    _ignores()
    _settings()


def _plans() -> None:
    op.create_table(
        "user_sync_plans",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.String(80), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("origin", sa.String(20), nullable=False),
        sa.Column("reverts_run_id", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ready_at", UtcDateTime),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("host_port", sa.String(500), nullable=False),
        sa.Column("server_version", sa.String(40), nullable=False),
        sa.Column("directory_count", sa.Integer, nullable=False),
        sa.Column("listed_count", sa.Integer, nullable=False),
        sa.Column("matched_count", sa.Integer, nullable=False),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("domain_names", sa.JSON, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("job_id", sa.BigInteger),
        **MYSQL_TABLE,
    )
    op.create_index("ix_user_sync_plans_environment", "user_sync_plans", ["environment_id", "id"])


def _rows() -> None:
    op.create_table(
        "user_sync_rows",
        sa.Column("plan_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("user_id", sa.String(64)),
        sa.Column("user_name", sa.String(256)),
        sa.Column("version", sa.Float(53)),
        sa.Column("updated_at", sa.BigInteger),
        sa.Column("old_name", sa.Text),
        sa.Column("new_name", sa.Text),
        sa.Column("sets_name", sa.Boolean, nullable=False),
        sa.Column("look_alike", sa.Boolean, nullable=False),
        sa.Column("old_domains", sa.Text, nullable=False),
        sa.Column("new_domains", sa.Text, nullable=False),
        sa.Column("inherited", sa.Text, nullable=False),
        sa.Column("sets_domains", sa.Boolean, nullable=False),
        sa.Column("domain_keys", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )


def _runs() -> None:
    op.create_table(
        "user_sync_runs",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("plan_id", sa.BigInteger, nullable=False),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.String(80), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("actor_id", sa.BigInteger, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("actor_role", sa.String(20), nullable=False),
        sa.Column("actor_kind", sa.String(20), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("claimed_by", sa.String(200)),
        sa.Column("heartbeat_at", UtcDateTime),
        sa.UniqueConstraint("plan_id", name="uq_user_sync_runs_plan"),
        **MYSQL_TABLE,
    )
    op.create_index("ix_user_sync_runs_environment", "user_sync_runs", ["environment_id", "id"])


def _items() -> None:
    op.create_table(
        "user_sync_items",
        sa.Column("run_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("plan_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stored", sa.String(40), nullable=False),
        sa.Column("version_after", sa.Float(53)),
        sa.Column("updated_after", sa.BigInteger),
        sa.Column("finished_at", UtcDateTime),
        **MYSQL_TABLE,
    )
    op.create_index("ix_user_sync_items_state", "user_sync_items", ["run_id", "state", "position"])


def _ignores() -> None:
    op.create_table(
        "user_sync_ignores",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("field", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("difference", sa.Text, nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint(
            "environment_id", "user_id", "field", name="uq_user_sync_ignores_field"
        ),
        **MYSQL_TABLE,
    )


def _settings() -> None:
    op.create_table(
        "user_sync_settings",
        sa.Column("environment_id", BigId, primary_key=True, autoincrement=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("last_good_count", sa.Integer),
        sa.Column("last_good_at", UtcDateTime),
        sa.Column("next_plan_at", UtcDateTime),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    for table in ("settings", "ignores", "items", "runs", "rows", "plans"):
        op.drop_table(f"user_sync_{table}")
