"""The one source of "now": UTC and timezone-aware everywhere."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def iso(value: datetime | None) -> str | None:
    """ISO 8601 with offset, for JSON; None stays None."""
    return value.isoformat() if value is not None else None
