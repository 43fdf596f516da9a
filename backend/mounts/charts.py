"""The arithmetic of the charts: how many were mounted when, and for how long."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from backend.core import clock

POINTS = 120
#: Upper bounds in minutes and how a person reads them.
BUCKETS: tuple[tuple[float, str], ...] = (
    (5, "under 5 min"),
    (15, "5 to 15 min"),
    (30, "15 to 30 min"),
    (60, "30 to 60 min"),
    (180, "1 to 3 h"),
    (720, "3 to 12 h"),
    (1440, "12 to 24 h"),
    (float("inf"), "over a day"),
)


def active_over_time(rows: Sequence[Any], active_now: int) -> tuple[tuple[datetime, int], ...]:
    """Mounts active at each of up to 120 instants between the oldest of `rows` and now.

    rows: created_at, updated_at (when it was unmounted), mounted; naive UTC; those without a time
    are left out. Counted backwards from what is mounted now, so that entries older than the sample
    do not matter.
    """
    rows = [row for row in rows if row.created_at is not None]
    if not rows:
        return ()
    now = clock.now().astimezone(UTC).replace(tzinfo=None)
    start = min(row.created_at for row in rows)
    step = max((now - start) / POINTS, timedelta(minutes=1))
    changes: Counter[int] = Counter()
    for row in rows:
        changes[_slot(row.created_at, start, step)] += 1
        if not row.mounted and row.updated_at is not None:
            changes[_slot(row.updated_at, start, step)] -= 1
    points, active = [], active_now
    for slot in range(_slot(now, start, step), -1, -1):
        points.append(((start + (slot + 1) * step).replace(tzinfo=UTC), max(0, active)))
        active -= changes[slot]
    return tuple(reversed(points))


def _slot(moment: datetime, start: datetime, step: timedelta) -> int:
    return max(0, int((moment - start) / step))


def durations(rows: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """How long finished mounts lasted, in buckets."""
    minutes = [
        (row.updated_at - row.created_at).total_seconds() / 60
        for row in rows
        if not row.mounted
        and None not in (row.updated_at, row.created_at)
        and row.updated_at >= row.created_at
    ]
    bounds = [0.0, *[bound for bound, _name in BUCKETS]]
    return tuple(
        (name, sum(low <= value < high for value in minutes))
        for (low, high), (_bound, name) in zip(pairwise(bounds), BUCKETS, strict=True)
    )
