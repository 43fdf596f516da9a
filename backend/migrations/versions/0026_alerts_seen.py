"""Which alerts of the Overview a person has seen."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0026_alerts_seen"
down_revision = "0025_step_up_trips"


def upgrade() -> None:
    op.create_table(
        "alerts_seen",
        sa.Column(
            "account_id",
            BigId,
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("alert", sa.String(64), primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    op.drop_table("alerts_seen")
