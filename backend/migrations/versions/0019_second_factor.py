"""Second factors of local accounts, and when a session was last proven."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0019_second_factor"
down_revision = "0018_notifications"


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("account_id", BigId, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("confirmed_at", UtcDateTime),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("recovery_hashes", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_second_factors_account", "second_factors", ["account_id"])
    op.add_column("account_sessions", sa.Column("proven_at", UtcDateTime))
    op.execute("UPDATE account_sessions SET proven_at = created_at")
    with op.batch_alter_table("account_sessions") as batch:
        batch.alter_column("proven_at", existing_type=UtcDateTime, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("account_sessions") as batch:
        batch.drop_column("proven_at")
    op.drop_table("second_factors")
