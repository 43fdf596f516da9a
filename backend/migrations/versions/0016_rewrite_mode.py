"""Tokenization: by which method a run writes, and the clean-up after it."""

import sqlalchemy as sa
from alembic import op

revision = "0016_rewrite_mode"
down_revision = "0015_attributes"


def upgrade() -> None:
    op.add_column(
        "tokenization_runs",
        sa.Column("method", sa.String(20), nullable=False, server_default="in-place"),
    )
    op.add_column(
        "tokenization_runs",
        sa.Column("clean_up", sa.String(20), nullable=False, server_default=""),
    )
    op.add_column("tokenization_runs", sa.Column("clean_up_details", sa.Text))
