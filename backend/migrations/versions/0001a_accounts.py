"""Accounts, sessions, API tokens."""

revision = "0001a_accounts"
down_revision = "0001_core"


def upgrade() -> None:
    """Filled by its room."""


def downgrade() -> None:
    """Filled by its room."""
