"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind(
        "user_sync.plan_waiting", "User changes wait for review", Permission.USER_SYNC_PLAN, "info"
    ),
    Kind("user_sync.failing", "Planning by schedule fails", Permission.USER_SYNC_PLAN),
)
