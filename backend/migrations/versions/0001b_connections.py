"""Environments, connections, tests, client info."""

revision = "0001b_connections"
down_revision = "0001a_accounts"


def upgrade() -> None:
    """Filled by its room."""


def downgrade() -> None:
    """Filled by its room."""
