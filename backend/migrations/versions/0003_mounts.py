"""Mounts: target templates, requests, orphans, watch."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0003_mounts"
down_revision = "0002_user_sync"


def upgrade() -> None:
    _templates()
    _watch()


def _templates() -> None:
    op.create_table(
        "mount_targets",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "environment_id",
            BigId,
            sa.ForeignKey("environments.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("target_id", sa.String(255), nullable=False),
        sa.Column("type", sa.String(10), nullable=False),
        sa.Column("filesystem_export", sa.String(1000), nullable=False),
        sa.Column("mount_path", sa.String(1000), nullable=False),
        sa.Column("nfs_mount_opts", sa.String(500), nullable=False),
        sa.Column("secret_ref", sa.Text, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index(
        "uq_mount_targets", "mount_targets", ["environment_id", "target_id"], unique=True
    )
    op.create_table(
        "mount_requests",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_mount_requests_created", "mount_requests", ["created_at"])


def _watch() -> None:
    op.create_table(
        "mount_orphans",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("ledger_id", sa.BigInteger, nullable=False),
        sa.Column("backup_target_id", sa.String(255), nullable=False),
        sa.Column("jobid", sa.Integer, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime),
        sa.Column("reasons", sa.String(200), nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_mount_orphans_ledger", "mount_orphans", ["environment_id", "ledger_id"])
    op.create_index("ix_mount_orphans_host", "mount_orphans", ["environment_id", "host"])
    op.create_table(
        "mount_watches",
        sa.Column("environment_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("environment", sa.String(80), nullable=False),
        sa.Column("max_age_hours", sa.Integer, nullable=False),
        sa.Column("scanned_at", UtcDateTime),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("orphans", sa.Integer, nullable=False),
        sa.Column("too_old", sa.Integer, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.Column("failing_since", UtcDateTime),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    for table in ("mount_watches", "mount_orphans", "mount_requests", "mount_targets"):
        op.drop_table(table)
