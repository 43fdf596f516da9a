"""User sync."""

revision = "0002_user_sync"
down_revision = "0001b_connections"


def upgrade() -> None:
    """Filled by its room."""


def downgrade() -> None:
    """Filled by its room."""
