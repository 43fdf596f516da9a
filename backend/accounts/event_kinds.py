"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind("accounts.token_ends", "An API token ends soon", Permission.API_TOKENS_WRITE),
    Kind(
        "accounts.state_damaged",
        "The check of audit and state failed",
        Permission.AUDIT_READ,
        "error",
    ),
)
