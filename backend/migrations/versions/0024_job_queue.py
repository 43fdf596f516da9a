"""Jobs say which processes may do them."""

import sqlalchemy as sa
from alembic import op

revision = "0024_job_queue"
down_revision = "0023_account_identities"


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("queue", sa.String(40), nullable=False, server_default="portal.jobs")
    )


def downgrade() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("queue")
