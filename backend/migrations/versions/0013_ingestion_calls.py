"""How a rule's function is called (handed over, or held until it ends), and what a stop came to."""

import sqlalchemy as sa
from alembic import op

revision = "0013_ingestion_calls"
down_revision = "0012_changes"

_ADDED = (
    ("ingestion_rules", "invocation", 10, "async"),
    ("ingestion_runs", "invocation", 10, "async"),
    ("ingestion_runs", "stop_outcome", 20, ""),
)


def upgrade() -> None:
    for table, column, length, default in _ADDED:
        op.add_column(
            table,
            sa.Column(column, sa.String(length), nullable=False, server_default=default),
        )


def downgrade() -> None:
    for table, column, _length, _default in reversed(_ADDED):
        op.drop_column(table, column)
