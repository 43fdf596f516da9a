"""Which account made an API token: its name may change, and be another account's later."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import BigId

revision = "0027_token_makers"
down_revision = "0026_alerts_seen"


def upgrade() -> None:
    op.add_column("api_tokens", sa.Column("account_id", BigId))
    # Of who had the name when the token was made; a namesake who came later did not make it.
    op.execute(
        "UPDATE api_tokens SET account_id = (SELECT MAX(a.id) FROM accounts a"
        " WHERE a.name = api_tokens.created_by AND a.deleted_at IS NULL"
        " AND a.created_at <= api_tokens.created_at)"
    )


def downgrade() -> None:
    with op.batch_alter_table("api_tokens") as batch:
        batch.drop_column("account_id")
