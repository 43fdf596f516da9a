"""A page of the ledger, in as few queries as it takes.

Most pages are one query: the entries right behind the cursor fill them. Where filters leave too few
of those, a longer look follows, and it is bounded: after EXAMINE entries the page ends early, with
a cursor to go on from.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from backend.dms import entries, schema
from backend.dms.ledger import Ledger
from backend.mounts import fences, key_pages
from backend.mounts import walk as walks
from backend.mounts.schemas import Filters, MountView, Sort, view
from backend.mounts.walk import Place, Walk

#: Entries one page may look through when filters have to be checked row by row.
EXAMINE = 6_000
#: The first look is at this many times the page: enough where a quarter of the entries fit.
FIRST_LOOK = 4
#: Of mounted entries, these many ids behind the cursor are searched first, host by host.
NEAR, LESS_NEAR = 65_536, 1_048_576
#: With more hosts than this, going from host to host takes longer than reading all that is mounted.
MOST_HOSTS = 200

t = schema.ledger.c


def page(
    ledger: Ledger, filters: Filters, sort: Sort, cursor: str, limit: int
) -> tuple[list[MountView], str | None, Sort]:
    """Up to `limit` entries, the cursor after them, and what they are really sorted by."""
    if not ledger.shape.has_id:
        return key_pages.page(ledger, filters, sort, cursor, limit)

    def work(connection: Connection) -> tuple[list[MountView], str | None, Sort]:
        span = fences.span(connection, filters)
        walk = walks.plan(ledger, filters, sort, timed=span is not None)
        after = walks.read_cursor(cursor, walk.sort) if cursor else None
        rows, stopped = _Search(connection, ledger, filters, walk, span).read(after, limit + 1)
        following = walk.place(rows[limit - 1]) if len(rows) > limit else stopped
        found = [view(entries.read(row)) for row in rows[:limit]]
        return found, walks.cursor_text(walk, *following) if following else None, walk.sort

    return ledger.read(work)


class _Search:
    """The queries of one page."""

    def __init__(
        self,
        connection: Connection,
        ledger: Ledger,
        filters: Filters,
        walk: Walk,
        span: fences.Span | None,
    ) -> None:
        self.connection = connection
        self.ledger = ledger
        self.filters = filters
        self.walk = walk
        self.span = span

    def read(self, after: Place | None, wanted: int) -> tuple[list[Row[Any]], Place | None]:
        """Up to `wanted` rows, and where the search stopped before its end."""
        walk = self.walk
        if after is None:  # later pages start where the cursor says, which is inside the range
            walk = self._within(since=not walk.descending, until=walk.descending)
        first = min(FIRST_LOOK * wanted, EXAMINE) if walk.left else wanted
        if walk.scattered and walk.descending and self.ledger.dialect in ("mysql", "mariadb"):
            near = self._near(walk, after, first, wanted)
            if len(near) == wanted:
                return near, None
            return self._look(self._within(since=True, until=True), after, EXAMINE, wanted)
        rows, end = self._look(walk, after, first, wanted)
        if end is None or first == EXAMINE:
            return rows, end
        walk = self._within(since=True, until=True)
        more, end = self._look(walk, end, EXAMINE - first, wanted - len(rows))
        return rows + more, end

    def _near(self, walk: Walk, after: Place | None, size: int, wanted: int) -> list[Row[Any]]:
        """Mounted entries not far behind, from each host's part of the index.

        Within a host the index is in the order of ids, so that only what is near is read. Fewer
        than `wanted` prove nothing.
        """
        query = self.ledger.hinted(select(t.host).group_by(t.host), "idx_host")
        hosts = list(self.connection.execute(query.limit(MOST_HOSTS + 1)).scalars())
        start = after[1] if after else walk.high or self._newest_id()
        rows: list[Row[Any]] = []
        looks = ((NEAR, size), (LESS_NEAR, EXAMINE // 3))
        for far, most in looks[1:] if self.filters.deleted else looks:  # few are deleted
            if len(rows) < wanted and len(hosts) <= MOST_HOSTS:
                covered = (*walk.covered, t.host.in_(hosts))
                close = replace(walk, covered=covered, low=start - far)
                rows = self._rows(close, after, most, wanted)
        return rows

    def _within(self, *, since: bool, until: bool) -> Walk:
        """The walk between the fences of the time range."""
        if self.span is None:
            return self.walk
        return replace(
            self.walk,
            low=fences.lowest(self.connection, self.span, self.filters.since if since else None),
            high=fences.highest(self.connection, self.span, self.filters.until if until else None),
        )

    def _newest_id(self) -> int:
        return self.connection.execute(select(func.max(t.id))).scalar() or 0

    def _look(
        self, walk: Walk, after: Place | None, size: int, wanted: int
    ) -> tuple[list[Row[Any]], Place | None]:
        """Up to `wanted` rows of the next `size` entries; where those end, with fewer rows than
        wanted and more entries to come."""
        if walk.among_mounted:
            return self._look_at_few(walk, after, size, wanted)
        rows = self._rows(walk, after, size, wanted)
        if len(rows) == wanted:
            return rows, None
        last = walks.inner(self.ledger, walk, after, 1).offset(size - 1)
        end = self.connection.execute(last).first()
        if end is None:
            return rows, None
        return rows, (None if walk.by is None else end.sort_key, end.id)

    def _rows(self, walk: Walk, after: Place | None, size: int, wanted: int) -> list[Row[Any]]:
        query = walks.matching(self.ledger, walk, after, size, wanted)
        return list(self.connection.execute(query))

    def _look_at_few(
        self, walk: Walk, after: Place | None, size: int, wanted: int
    ) -> tuple[list[Row[Any]], Place | None]:
        """The same where ids are few and costly to find: they are asked for once."""
        ids = list(self.connection.execute(walks.inner(self.ledger, walk, after, size)).scalars())
        query = self.ledger.entry().where(t.id.in_(ids), *walk.left)
        query = query.order_by(t.id.desc() if walk.descending else t.id).limit(wanted)
        rows = list(self.connection.execute(query)) if ids else []
        through = len(rows) == wanted or len(ids) < size
        return rows, None if through else (None, ids[-1])
