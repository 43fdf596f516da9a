"""What all processes counted together, for /metrics."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE

revision = "0029_metric_totals"
down_revision = "0028_run_reports"


def upgrade() -> None:
    op.create_table(
        "metric_totals",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("labels", sa.String(300), primary_key=True),
        sa.Column("value", sa.Float(53), nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    op.drop_table("metric_totals")
