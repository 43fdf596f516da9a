"""Windows of time that people write: "mon-fri 18:00-08:00", in UTC."""

import re
from datetime import datetime, time, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*) +)?"
    r"(?P<start>[0-2]\d:[0-5]\d)-(?P<end>[0-2]\d:[0-5]\d)\Z"
)


def checked(text: str) -> str:
    """The window as it is kept, "" for none. Raises ValueError saying what is wrong with it."""
    text = " ".join(text.lower().split())
    if text:
        _parsed(text)
    return text


def covers(window: str, at: datetime) -> bool:
    """A window over midnight belongs to the day it begins on."""
    days, start, end = _parsed(window)
    today, moment = at.weekday(), at.time().replace(tzinfo=None)
    if start < end:
        return today in days and start <= moment < end
    return (today in days and moment >= start) or ((today - 1) % 7 in days and moment < end)


def end_of(window: str, at: datetime) -> datetime:
    """The first moment from `at` on that the window does not cover; `at` itself when it does not.

    Windows of following days that touch are one: at most a week is looked through.
    """
    _, _, end = _parsed(window)
    for day in range(9):
        if not covers(window, at):
            return at
        ends = datetime.combine(at.date() + timedelta(days=day), end, at.tzinfo)
        if ends > at and not covers(window, ends):
            return ends
    return at + timedelta(days=7)


def _parsed(window: str) -> tuple[frozenset[int], time, time]:
    match = _WINDOW.match(window)
    if match is None:
        raise ValueError(f"{window!r} is no time window; write for example: mon-fri 18:00-08:00")
    days = _days(match["days"]) if match["days"] else frozenset(range(7))
    try:
        start, end = time.fromisoformat(match["start"]), time.fromisoformat(match["end"])
    except ValueError as exc:
        raise ValueError(f"{window!r} names an hour that no day has") from exc
    if start == end:
        raise ValueError(f"{window!r} begins when it ends; leave it out to mean always")
    return days, start, end


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{part!r} names no days: {', '.join(_DAYS)}")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(found)
