"""Ids between which a time range lies; the table has no index on created_at.

Entries come in the order of their ids, but for clocks that differ by less than SLACK. A fence is
coarse: created_at itself is checked on every row within it.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from backend.dms import schema
from backend.mounts.schemas import Filters

#: A ledger smaller than this is searched by created_at itself; a larger one by ids.
BISECT_FROM = 100_000
SLACK = timedelta(hours=1)
#: How close two ids must be for a time's fence.
FENCE = 2_000

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
    all the same, in case they do not.
    """
    wanted = moment.astimezone(UTC).replace(tzinfo=None)
    (low, early), (high, late) = _made_at(connection, low), _made_at(connection, high)
    for turn in range(60):
        if high - low <= FENCE or not early < wanted < late:
            break
        share = (wanted - early) / (late - early) if turn % 2 == 0 else 0.5
        middle = min(high - 1, max(low + 1, low + int((high - low) * share)))
        found, at = _made_at(connection, middle)
        if found >= high:
            high = middle  # a gap without entries
        elif at < wanted:
            low, early = found, at
        else:
            high, late = found, at
    if wanted <= early:
        return low, low
    return (high, high) if wanted >= late else (low, high)


def _made_at(connection: Connection, at_least: int) -> tuple[int, datetime]:
    row = connection.execute(
        select(t.id, t.created_at).where(t.id >= at_least).order_by(t.id).limit(1)
    ).one()
    return row.id, row.created_at
