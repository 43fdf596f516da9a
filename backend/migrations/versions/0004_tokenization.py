"""Tokenization."""

revision = "0004_tokenization"
down_revision = "0003_mounts"


def upgrade() -> None:
    """Filled by its room."""


def downgrade() -> None:
    """Filled by its room."""
