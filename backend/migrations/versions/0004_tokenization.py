"""Tokenization."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0004_tokenization"
down_revision = "0003_mounts"


def upgrade() -> None:
    op.create_table(
        "tokenization_runs",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.String(80), nullable=False),
        sa.Column("dataset", sa.String(512), nullable=False),
        sa.Column("engine", sa.String(20), nullable=False),
        sa.Column("source_table", sa.String(300), nullable=False),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("scheme", sa.String(20), nullable=False),
        sa.Column("key_fingerprint", sa.String(16), nullable=False),
        sa.Column("trigger_kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("active_key", sa.String(64), nullable=True, unique=True),
        sa.Column("actor_id", sa.BigInteger, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("actor_kind", sa.String(20), nullable=False),
        sa.Column("job_id", sa.BigInteger, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=True),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.Column("transaction_id", sa.String(40), nullable=True),
        sa.Column("rows_scanned", sa.BigInteger, nullable=True),
        sa.Column("rows_updated", sa.BigInteger, nullable=True),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("write_back", sa.String(20), nullable=False),
        sa.Column("write_back_details", sa.Text, nullable=False),
        sa.Column("write_back_attempts", sa.Integer, nullable=False),
        sa.Column("write_back_at", UtcDateTime, nullable=True),
        **MYSQL_TABLE,
    )
    for name, columns in (("dataset", ["dataset", "id"]), ("state", ["state", "id"])):
        op.create_index(f"ix_tokenization_runs_{name}", "tokenization_runs", columns)
    op.create_table(
        "tokenization_tags",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("dataset", sa.String(512), nullable=False),
        sa.Column("run_id", sa.BigInteger, nullable=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index(
        "ux_tokenization_tags_dataset",
        "tokenization_tags",
        ["environment_id", "dataset"],
        unique=True,
    )


def downgrade() -> None:
    op.drop_table("tokenization_tags")
    op.drop_table("tokenization_runs")
