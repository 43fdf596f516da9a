"""Several identities of one account, names and ends that admins gave, and break-glass accounts."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0023_account_identities"
down_revision = "0022_archives"

FK = "fk_accounts_merged_into_id"


def upgrade() -> None:
    op.create_table(
        "account_identities",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("account_id", BigId, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("external_key", sa.String(64), nullable=False, unique=True),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_account_identities_account", "account_identities", ["account_id"])
    op.execute(
        "INSERT INTO account_identities (account_id, external_key, issuer, created_at) "
        "SELECT id, external_key, '', created_at FROM accounts WHERE external_key IS NOT NULL"
    )
    with op.batch_alter_table("accounts") as batch:
        batch.drop_column("external_key")
        batch.add_column(
            sa.Column("name_pinned", sa.Boolean, nullable=False, server_default=sa.false())
        )
        batch.add_column(sa.Column("break_glass_until", UtcDateTime))
        batch.add_column(sa.Column("deleted_at", UtcDateTime))
        batch.add_column(sa.Column("merged_into_id", BigId))
        batch.create_foreign_key(FK, "accounts", ["merged_into_id"], ["id"])
    with op.batch_alter_table("accounts") as batch:
        batch.alter_column("name_pinned", existing_type=sa.Boolean, server_default=None)


def downgrade() -> None:
    """One identity an account is kept: the oldest."""
    with op.batch_alter_table("accounts") as batch:
        batch.drop_constraint(FK, type_="foreignkey")
        batch.drop_column("merged_into_id")
        batch.drop_column("deleted_at")
        batch.drop_column("break_glass_until")
        batch.drop_column("name_pinned")
        batch.add_column(sa.Column("external_key", sa.String(64)))
        batch.create_unique_constraint("uq_accounts_external_key", ["external_key"])
    op.execute(
        "UPDATE accounts SET external_key = (SELECT i.external_key FROM account_identities i "
        "WHERE i.account_id = accounts.id AND i.id = (SELECT MIN(o.id) FROM account_identities o "
        "WHERE o.account_id = accounts.id))"
    )
    op.drop_table("account_identities")
