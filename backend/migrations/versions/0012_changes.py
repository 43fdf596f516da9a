"""Change control: policies, change requests and their steps."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, LongText, UtcDateTime

revision = "0012_changes"
down_revision = "0011_orphans_of_any_ledger"


def upgrade() -> None:
    op.create_table(
        "change_policies",
        sa.Column("id", BigId, primary_key=True),
        sa.Column(
            "environment_id",
            BigId,
            sa.ForeignKey("environments.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("mode", sa.String(10), nullable=False),
        sa.Column("approvers", sa.Integer, nullable=False),
        sa.Column("above", sa.BigInteger),
        sa.Column("time_window", sa.String(60), nullable=False),
        sa.Column("by_token", sa.Boolean, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.UniqueConstraint("environment_id", "action", name="uq_change_policies_action"),
        **MYSQL_TABLE,
    )
    op.create_table(
        "changes",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.String(80), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("shown", sa.JSON, nullable=False),
        sa.Column("ciphertext", LongText, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("open_key", sa.String(64)),
        sa.Column("size", sa.BigInteger),
        sa.Column("rule", sa.String(300), nullable=False),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("requester_id", sa.BigInteger, nullable=False),
        sa.Column("requester_name", sa.String(255), nullable=False),
        sa.Column("requester_kind", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("decided_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.UniqueConstraint("open_key", name="uq_changes_open_key"),
        **MYSQL_TABLE,
    )
    op.create_index("ix_changes_state", "changes", ["state", "id"])
    op.create_index("ix_changes_environment", "changes", ["environment_id", "id"])
    op.create_table(
        "change_steps",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("change_id", BigId, sa.ForeignKey("changes.id"), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("actor_id", sa.BigInteger, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("actor_kind", sa.String(20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_change_steps_change", "change_steps", ["change_id", "id"])


def downgrade() -> None:
    op.drop_table("change_steps")
    op.drop_table("changes")
    op.drop_table("change_policies")
