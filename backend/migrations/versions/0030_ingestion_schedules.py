"""Schedules of recipes and sources, and everybody's favourite datasets."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, LongText, UtcDateTime

revision = "0030_ingestion_schedules"
down_revision = "0029_metric_totals"


def upgrade() -> None:
    op.create_table(
        "ingestion_schedules",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "environment_id",
            BigId,
            sa.ForeignKey("environments.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("cron", sa.String(100), nullable=False),
        sa.Column("ciphertext", LongText, nullable=False),
        sa.Column("next_at", UtcDateTime, nullable=False),
        sa.Column("last_at", UtcDateTime),
        sa.Column("last_job_id", sa.BigInteger),
        sa.Column("last_problem", sa.String(500), nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
        sa.Column("set_by_id", sa.BigInteger, nullable=False),
        sa.Column("set_by_name", sa.String(255), nullable=False),
        sa.Column("set_by_kind", sa.String(20), nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index(
        "uq_ingestion_schedules",
        "ingestion_schedules",
        ["environment_id", "kind", "name"],
        unique=True,
    )
    op.create_index("ix_ingestion_schedules_next", "ingestion_schedules", ["next_at"])
    op.create_table(
        "ingestion_favourites",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column(
            "environment_id",
            BigId,
            sa.ForeignKey("environments.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("dataset_urn", sa.String(512), primary_key=True),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    op.drop_table("ingestion_favourites")
    op.drop_table("ingestion_schedules")
