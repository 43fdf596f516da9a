"""Times for people: relative, in the browser's zone, with the exact instant beside it."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from backend.core import clock

#: Pixels of "a few seconds ago"; in a narrower column it is cut.
_DISTANCE_WIDTH = 125
_STEPS = ((60, 1, "second"), (3600, 60, "minute"), (86400, 3600, "hour"), (7_776_000, 86400, "day"))


def zone() -> ZoneInfo:
    """The browser's time zone, UTC when it does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def relative(value: datetime | None, *, never: str = "never") -> str:
    """ "3 minutes ago", "in 2 hours"; further than 90 days: the date.

    What has passed is rounded down, what will come to the nearest: a day from now is "in 24 hours".
    """
    if value is None:
        return never
    seconds = (clock.now() - value).total_seconds()
    size = abs(seconds)
    for limit, unit, name in _STEPS:
        if size < limit:
            count = int(size // unit) if seconds >= 0 else round(size / unit)
            if name == "second" and count < 5:
                return "just now"
            words = f"{count} {name}{'s' if count != 1 else ''}"
            return f"{words} ago" if seconds >= 0 else f"in {words}"
    return exact(value)[:10]


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
