"""What DataHub was told of each ingestion run."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import UtcDateTime

revision = "0028_run_reports"
down_revision = "0027_token_makers"


def upgrade() -> None:
    for column in (
        sa.Column("reported", sa.String(20)),
        sa.Column("report_at", UtcDateTime),
        sa.Column("report_tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("report_problem", sa.String(500), nullable=False, server_default=""),
    ):
        op.add_column("ingestion_runs", column)
    op.create_index("ix_ingestion_runs_report", "ingestion_runs", ["report_at"])


def downgrade() -> None:
    op.drop_index("ix_ingestion_runs_report", "ingestion_runs")
    with op.batch_alter_table("ingestion_runs") as batch:
        for name in ("report_problem", "report_tries", "report_at", "reported"):
            batch.drop_column(name)
