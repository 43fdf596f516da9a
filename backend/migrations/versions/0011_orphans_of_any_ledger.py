"""Mounts: what a scan found in ledgers without ids, and in rows that cannot be read.

The table only holds what the last scan saw; the next one fills it again.
"""

import sqlalchemy as sa
from alembic import op

from backend.core.database import MYSQL_TABLE, BigId, UtcDateTime

revision = "0011_orphans_of_any_ledger"
down_revision = "0010_identity_providers"


def upgrade() -> None:
    _again(jobid=sa.BigInteger(), nullable=True)


def downgrade() -> None:
    _again(jobid=sa.Integer(), nullable=False)


def _again(*, jobid: sa.types.TypeEngine[int], nullable: bool) -> None:
    op.drop_table("mount_orphans")
    op.create_table(
        "mount_orphans",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("environment_id", sa.BigInteger, nullable=False),
        sa.Column("ledger_id", sa.BigInteger, nullable=False),
        sa.Column("backup_target_id", sa.String(255), nullable=False),
        sa.Column("jobid", jobid, nullable=nullable),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=nullable),
        sa.Column("updated_at", UtcDateTime),
        sa.Column("reasons", sa.String(200), nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        **MYSQL_TABLE,
    )
    op.create_index("ix_mount_orphans_ledger", "mount_orphans", ["environment_id", "ledger_id"])
    op.create_index("ix_mount_orphans_host", "mount_orphans", ["environment_id", "host"])
    # never scanned, so that an empty list is not taken for a clean one
    op.execute("UPDATE mount_watches SET scanned_at = NULL")
