"""A trip to an identity provider knows the session that it proves anew."""

import sqlalchemy as sa
from alembic import op

revision = "0025_step_up_trips"
down_revision = "0024_job_queue"


def upgrade() -> None:
    op.add_column("provider_flows", sa.Column("session_id", sa.BigInteger))


def downgrade() -> None:
    with op.batch_alter_table("provider_flows") as batch:
        batch.drop_column("session_id")
