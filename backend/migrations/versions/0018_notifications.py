"""Events, the channels that tell of them, deliveries, and what each person has seen."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0018_notifications"
down_revision = "0017_trust"


def upgrade() -> None:
    _events()
    op.create_table(
        "notification_channels",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("owner_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("environment_id", BigId, sa.ForeignKey("environments.id", ondelete="CASCADE")),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("service", sa.String(40), nullable=False),
        sa.Column("shown", sa.String(200), nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("quiet", sa.String(60), nullable=False),
        sa.Column("digest", sa.String(10), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("since_event", sa.BigInteger, nullable=False),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.UniqueConstraint("owner_id", "name", name="uq_notification_channels_name"),
        **MYSQL_TABLE,
    )
    op.create_table(
        "notification_deliveries",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "channel_id",
            BigId,
            sa.ForeignKey("notification_channels.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "event_id", BigId, sa.ForeignKey("events.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("error", sa.Text, nullable=False),
        sa.UniqueConstraint("channel_id", "event_id", name="uq_notification_deliveries_event"),
        **MYSQL_TABLE,
    )
    op.create_index(
        "ix_notification_deliveries_due", "notification_deliveries", ["state", "due_at"]
    )
    op.create_table(
        "notification_seen",
        sa.Column(
            "account_id",
            BigId,
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        **MYSQL_TABLE,
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("phase", sa.String(10), nullable=False),
        sa.Column("open_key", sa.String(64)),
        sa.Column("began_id", sa.BigInteger),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("permission", sa.String(60), nullable=False),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("page", sa.String(40), nullable=False),
        sa.Column("query", sa.JSON, nullable=False),
        sa.Column("concerns_id", sa.BigInteger),
        sa.Column("excludes_id", sa.BigInteger),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("dispatched", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.UniqueConstraint("open_key", name="uq_events_open_key"),
        **MYSQL_TABLE,
    )
    op.create_index("ix_events_dispatched", "events", ["dispatched", "id"])
