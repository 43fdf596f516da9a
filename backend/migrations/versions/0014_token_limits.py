"""API tokens limited to actions and environments, and where they were used from."""

import sqlalchemy as sa
from alembic import op

revision = "0014_token_limits"
down_revision = "0013_ingestion_calls"


def upgrade() -> None:
    # MySQL gives TEXT no default, so each row of an older portal gets its value by hand.
    op.add_column("api_tokens", sa.Column("last_address", sa.String(64)))
    op.add_column("api_tokens", sa.Column("actions", sa.Text))
    op.add_column("api_tokens", sa.Column("environments", sa.Text))
    op.add_column("api_tokens", sa.Column("ask_only", sa.Boolean))
    op.execute(sa.text("UPDATE api_tokens SET ask_only = :no").bindparams(no=False))
    op.execute("UPDATE api_tokens SET last_address = '', actions = '', environments = ''")
    with op.batch_alter_table("api_tokens") as batch:
        batch.alter_column("last_address", existing_type=sa.String(64), nullable=False)
        batch.alter_column("actions", existing_type=sa.Text, nullable=False)
        batch.alter_column("ask_only", existing_type=sa.Boolean, nullable=False)
        batch.alter_column("environments", existing_type=sa.Text, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("api_tokens") as batch:
        for name in ("last_address", "actions", "environments", "ask_only"):
            batch.drop_column(name)
