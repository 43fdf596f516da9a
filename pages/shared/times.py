"""Times for people: relative, in the browser's zone, with the exact instant beside it."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from backend.core import clock

#: Pixels of "a few seconds ago"; in a narrower column it is cut.
_DISTANCE_WIDTH = 125
#: Up to how many of each unit, its seconds, and what one is called. As moment.js, which words the
#: instants in Streamlit's tables: a caption beside one must not say it in another way.
_STEPS = (
    (44, 60, "a minute"),
    (21, 3600, "an hour"),
    (25, 86400, "a day"),
    (10, 86400 * 146_097 / 4800, "a month"),
)
_YEAR = 86400 * 146_097 / 400


def zone() -> ZoneInfo:
    """The browser's time zone, UTC when it does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def relative(value: datetime | None, *, never: str = "never") -> str:
    """ "3 minutes ago", "in an hour", rounded to the nearest, in the words of `column`."""
    if value is None:
        return never
    seconds = (clock.now() - value).total_seconds()
    words = _words(abs(seconds))
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _words(seconds: float) -> str:
    if round(seconds) < 45:
        return "a few seconds"
    for most, unit, one in _STEPS:
        if (count := int(seconds / unit + 0.5)) <= most:
            return one if count <= 1 else f"{count} {one.split()[1]}s"
    years = int(seconds / _YEAR + 0.5)
    return "a year" if years <= 1 else f"{years} years"


def exact(value: datetime | None) -> str:
    """The instant in the browser's zone, to the second."""
    if value is None:
        return ""
    return value.astimezone(zone()).strftime("%Y-%m-%d %H:%M:%S %Z")


def column(label: str) -> Any:
    """A table's column of instants: relative, sortable; a copied or opened cell is exact."""
    return st.column_config.DatetimeColumn(
        label,
        format="distance",
        timezone=str(zone()),
        width=_DISTANCE_WIDTH,
        help="Open or copy a cell: the exact time.",
    )


def caption(prefix: str, value: datetime | None, *, never: str = "never") -> None:
    """A small line with the relative time; the exact one on hover."""
    st.caption(f"{prefix} {relative(value, never=never)}", help=exact(value) or None)


def captions(*told: tuple[str, datetime | None, str]) -> None:
    """Such lines beside each other: of each its beginning, the moment, and the word for none."""
    for place, (prefix, value, never) in zip(st.columns(len(told)), told, strict=True):
        with place:
            caption(prefix, value, never=never)


def duration(seconds: float | None) -> str:
    """ "350 ms", "12.3 s", "4 min 10 s", "1 h 4 min", "3 d 2 h"."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def took(started: datetime | None, finished: datetime | None) -> str:
    """How long something took; "" while it has not ended."""
    return duration((finished - started).total_seconds()) if started and finished else ""
