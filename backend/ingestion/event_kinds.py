"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind("ingestion.failed", "The last ingestion did not end well", Permission.INGESTION_RUN),
)
