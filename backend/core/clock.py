"""The one source of "now", UTC and timezone-aware everywhere, and the one way to write it."""

from datetime import UTC, datetime

from backend.core.errors import InvalidInput


def now() -> datetime:
    """The current instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def iso(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z, as REST answers write it, for JSON and CSV; None stays None."""
    return _with_z(value.isoformat()) if value is not None else None


def to_the_second(value: datetime | None) -> str | None:
    """The same with whole seconds, for people at a terminal; None stays None."""
    return _with_z(value.isoformat(timespec="seconds")) if value is not None else None


def parse(text: str) -> datetime:
    """The instant that a person typed: an ISO date or time, in UTC unless it says its zone.

    Raises InvalidInput.
    """
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise InvalidInput(
            f"{text!r} is no time. Write one like 2026-08-01 or 2026-08-01T14:30+02:00."
        ) from exc
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _with_z(text: str) -> str:
    return text.replace("+00:00", "Z")
