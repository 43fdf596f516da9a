"""The one source of "now", UTC and timezone-aware everywhere, and the one way to write it."""

from datetime import MINYEAR, UTC, datetime

from backend.core.errors import InvalidInput

_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


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
    return in_utc(value)


def in_utc(moment: datetime) -> datetime:
    """A moment that a person gave (naive: UTC), in UTC, and so far from the ends of the calendar
    that there is room to reckon with it."""
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if moment.year == MINYEAR else _LATEST
    return min(max(moment, _EARLIEST), _LATEST)


def _with_z(text: str) -> str:
    return text.replace("+00:00", "Z")
