"""User sync: attributes beside name and domains; a run is reverted, not undone."""

import sqlalchemy as sa
from alembic import op

from backend.core.database import LongText

revision = "0015_attributes"
down_revision = "0014_token_limits"

_PLANS = sa.table("user_sync_plans", sa.column("origin", sa.String))


def upgrade() -> None:
    op.add_column("user_sync_rows", sa.Column("texts", LongText, nullable=True))
    op.add_column("user_sync_rows", sa.Column("unknown", LongText, nullable=True))
    _rename("undo", "revert")


def downgrade() -> None:
    _rename("revert", "undo")
    op.drop_column("user_sync_rows", "unknown")
    op.drop_column("user_sync_rows", "texts")


def _rename(old: str, new: str) -> None:
    op.execute(_PLANS.update().where(_PLANS.c.origin == old).values(origin=new))
