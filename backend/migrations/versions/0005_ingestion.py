"""Ingestion."""

revision = "0005_ingestion"
down_revision = "0004_tokenization"


def upgrade() -> None:
    """Filled by its room."""


def downgrade() -> None:
    """Filled by its room."""
