"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind(
        "tokenization.unknown",
        "Whether a tokenization was committed is unknown",
        Permission.TOKENIZATION_RUN,
        "error",
    ),
)
