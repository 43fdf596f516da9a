"""Ids between which a time range lies; the table has no index on created_at.

Entries come in the order of their ids, but for clocks that differ by less than SLACK. The
bounds are coarse: created_at itself is checked on every row within it.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select, type_coerce
from sqlalchemy.types import NullType

from backend.dms import entries, schema
from backend.mounts.schemas import Filters

#: A ledger smaller than this is searched by created_at itself; a larger one by ids.
BISECT_FROM = 100_000
SLACK = timedelta(hours=1)
#: How close two ids must be for a time's bounds.
CLOSE = 2_000
#: How many rows without a readable time in a row are stepped over.
UNREADABLE = 1_000

t = schema.ledger.c

#: The smallest and the largest id.
Span = tuple[int, int]


def span(connection: Connection, filters: Filters) -> Span | None:
    """The ids to look among; None when no time is asked for, or the ledger is small."""
    if filters.since is None and filters.until is None:
        return None
    low, high = connection.execute(select(func.min(t.id), func.max(t.id))).one()
    return None if low is None or high - low < BISECT_FROM else (low, high)


def lowest(connection: Connection, span: Span, since: datetime | None) -> int | None:
    """No entry with a smaller id is from `since` or later."""
    return _around(connection, since - SLACK, *span)[0] if since else None


def highest(connection: Connection, span: Span, until: datetime | None) -> int | None:
    """No entry with a larger id is from `until` or earlier."""
    return _around(connection, until + SLACK, *span)[1] if until else None


def _around(connection: Connection, moment: datetime, low: int, high: int) -> tuple[int, int]:
    """Two ids close to each other, made before and after `moment`; a few look-ups by primary key.

    Entries come at a steady pace, so guessing by proportion beats halving; every other step halves
    all the same, in case they do not. Rows whose time cannot be read are stepped over.
    """
    wanted = moment.astimezone(UTC).replace(tzinfo=None)
    first, last = _made_at(connection, low), _made_at(connection, high, back=True)
    if first is None or last is None:
        return low, high
    (low, early), (high, late) = first, last
    for turn in range(60):
        if high - low <= CLOSE or not early < wanted < late:
            break
        share = (wanted - early) / (late - early) if turn % 2 == 0 else 0.5
        middle = min(high - 1, max(low + 1, low + int((high - low) * share)))
        found = _made_at(connection, middle)
        if found is None or found[0] >= high:
            high = middle  # a gap without entries, or without times
        elif found[1] < wanted:
            low, early = found
        else:
            high, late = found
    if wanted <= early:
        return low, low
    return (high, high) if wanted >= late else (low, high)


def _made_at(
    connection: Connection, near: int, *, back: bool = False
) -> tuple[int, datetime] | None:
    """The first entry from id `near` on (back: up to it) whose time can be read, of some."""
    query = select(t.id, type_coerce(t.created_at, NullType()))
    query = query.where(t.id <= near if back else t.id >= near)
    query = query.order_by(t.id.desc() if back else t.id)
    for most in (1, UNREADABLE):
        for entry_id, value in connection.execute(query.limit(most)):
            try:
                made = entries.moment(value)
            except (ValueError, OverflowError):
                continue
            if made is not None:
                return entry_id, made
    return None
