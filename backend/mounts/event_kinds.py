"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind("mounts.unwatched", "Mounts are not being watched", Permission.MOUNTS_READ, "error"),
    Kind("mounts.unknown", "A mount's outcome is unknown", Permission.MOUNTS_WRITE),
    Kind("mounts.too_old", "Mounts are older than their limit", Permission.MOUNTS_WRITE),
    Kind("mounts.orphans", "Mounts look orphaned", Permission.MOUNTS_WRITE, "info"),
)
