"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind(
        "connections.failing", "A connection fails its test", Permission.CONNECTIONS_READ, "error"
    ),
    Kind("connections.expiring", "A secret ends soon", Permission.CONNECTIONS_READ),
    Kind("connections.client_info", "Client info is stale", Permission.CLIENT_INFO_READ),
)
