"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind("changes.waiting", "A change waits for approval", Permission.CHANGES_DECIDE),
    Kind("changes.decided", "A change was decided", Permission.CHANGES_READ),
    Kind("changes.expired", "A change expired undecided", Permission.CHANGES_READ),
    Kind("changes.ended", "An approved change has ended", Permission.CHANGES_READ),
)
