"""Ingestion: rules, their revision, runs."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0005_ingestion"
down_revision = "0004_tokenization"

LONG_TEXT = sa.Text().with_variant(sa.Text(1_000_000), "mysql", "mariadb")


def upgrade() -> None:
    _mapping()
    _runs()


def _mapping() -> None:
    op.create_table(
        "ingestion_rules",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "environment_id",
            BigId,
            sa.ForeignKey("environments.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("pattern", sa.String(512), nullable=False),
        sa.Column("target_kind", sa.String(20), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("note", sa.String(300), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.Column("checked_at", UtcDateTime),
        sa.Column("problem", sa.String(500), nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index(
        "uq_ingestion_rules", "ingestion_rules", ["environment_id", "kind", "pattern"], unique=True
    )
    op.create_table(
        "ingestion_mappings",
        sa.Column(
            "environment_id",
            BigId,
            sa.ForeignKey("environments.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        **MYSQL_TABLE,
    )


def _runs() -> None:
    op.create_table(
        "ingestion_runs",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run_id", sa.String(80), nullable=False),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("environment_name", sa.String(80), nullable=False),
        sa.Column("dataset_urn", sa.String(512), nullable=False),
        sa.Column("job_urn", sa.String(512)),
        sa.Column("rule", sa.String(20), nullable=False),
        sa.Column("rule_source", sa.String(20), nullable=False),
        sa.Column("rule_pattern", sa.String(512), nullable=False),
        sa.Column("target_kind", sa.String(20), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("machine_type", sa.String(20), nullable=False),
        sa.Column("region", sa.String(40), nullable=False),
        sa.Column("reason", LONG_TEXT, nullable=False),
        sa.Column("payload", LONG_TEXT, nullable=False),
        sa.Column("payload_hash", sa.String(64), nullable=False),
        sa.Column("existence", sa.String(20), nullable=False),
        sa.Column("actor_id", sa.BigInteger, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("actor_kind", sa.String(20), nullable=False),
        sa.Column("rerun_of", sa.String(80)),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("active_key", sa.String(64)),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("answered", sa.Boolean, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("public_detail", sa.String(500), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("error_status", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("execution_arn", sa.String(400), nullable=False),
        sa.Column("log_group", sa.String(512), nullable=False),
        sa.Column("log_tail", LONG_TEXT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("timeout_seconds", sa.Integer),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("looked_at", UtcDateTime),
        sa.Column("next_look_at", UtcDateTime),
        sa.Column("looks", sa.Integer, nullable=False),
        sa.Column("stop_requested_by", sa.String(255)),
        **MYSQL_TABLE,
    )
    for name, columns, unique in (
        ("uq_ingestion_runs_run_id", ["run_id"], True),
        ("uq_ingestion_runs_active", ["active_key"], True),
        ("uq_ingestion_runs_idempotency", ["environment_id", "idempotency_key"], True),
        ("ix_ingestion_runs_dataset", ["environment_id", "dataset_urn", "id"], False),
        ("ix_ingestion_runs_actor", ["actor_name", "id"], False),
        ("ix_ingestion_runs_look", ["settled", "next_look_at"], False),
    ):
        op.create_index(name, "ingestion_runs", columns, unique=unique)


def downgrade() -> None:
    for table in ("ingestion_runs", "ingestion_mappings", "ingestion_rules"):
        op.drop_table(table)
