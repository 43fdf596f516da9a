"""Health belongs to the settings that were tested; client info may be changed by hand.

Tests made since a connection was last saved were of the settings that it has now.
"""

import sqlalchemy as sa
from alembic import op

from backend.core.database import UtcDateTime

revision = "0008_settings_of_a_test"
down_revision = "0007_long_texts"


def upgrade() -> None:
    op.add_column("connection_tests", sa.Column("version", sa.Integer(), nullable=True))
    op.add_column("datahub_client_info", sa.Column("edited_by", sa.String(255), nullable=True))
    op.add_column("datahub_client_info", sa.Column("edited_at", UtcDateTime(), nullable=True))
    shared = ("environment_id", "kind", "version")
    tests = sa.table("connection_tests", *map(sa.column, (*shared, "tested_at")))
    saved = sa.table("connections", *map(sa.column, (*shared, "updated_at")))
    current = (
        sa.select(saved.c.version)
        .where(
            saved.c.environment_id == tests.c.environment_id,
            saved.c.kind == tests.c.kind,
            saved.c.updated_at <= tests.c.tested_at,
        )
        .scalar_subquery()
    )
    op.execute(tests.update().values(version=current))


def downgrade() -> None:
    op.drop_column("datahub_client_info", "edited_at")
    op.drop_column("datahub_client_info", "edited_by")
    op.drop_column("connection_tests", "version")
