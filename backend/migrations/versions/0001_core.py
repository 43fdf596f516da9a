"""Secrets, audit chain, jobs."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0001_core"
down_revision = None


def upgrade() -> None:
    _core()
    _jobs()


def _core() -> None:
    op.create_table(
        "system_secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_table(
        "audit_events",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor_id", sa.BigInteger, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("actor_kind", sa.String(20), nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("phase", sa.String(10), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        **MYSQL_TABLE,
    )
    for name, column in (
        ("at", "at"),
        ("action", "action"),
        ("actor", "actor_name"),
        ("subject", "subject"),
    ):
        op.create_index(f"ix_audit_events_{name}", "audit_events", [column])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        **MYSQL_TABLE,
    )
    op.bulk_insert(head, [{"id": 1, "count": 0, "hash": "0" * 64, "mac": ""}])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("resumable", sa.Boolean, nullable=False),
        sa.Column("actor_id", sa.BigInteger, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("actor_role", sa.String(20), nullable=False),
        sa.Column("actor_kind", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("heartbeat_at", UtcDateTime),
        sa.Column("worker", sa.String(200)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("progress_done", sa.BigInteger, nullable=False),
        sa.Column("progress_total", sa.BigInteger),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("result", sa.JSON),
        **MYSQL_TABLE,
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "id"])
    op.create_index("ix_jobs_kind", "jobs", ["kind", "id"])
    op.create_index("ix_jobs_subject", "jobs", ["subject", "id"])
    op.create_table(
        "job_lines",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_job_lines_job", "job_lines", ["job_id", "id"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_table(
        "schedule_marks",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("last_run_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    for table in (
        "schedule_marks",
        "leases",
        "job_lines",
        "jobs",
        "audit_head",
        "audit_events",
        "system_secrets",
    ):
        op.drop_table(table)
