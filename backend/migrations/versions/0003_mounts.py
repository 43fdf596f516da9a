"""Mounts."""

revision = "0003_mounts"
down_revision = "0002_user_sync"


def upgrade() -> None:
    """Filled by its room."""


def downgrade() -> None:
    """Filled by its room."""
