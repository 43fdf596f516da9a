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
from backend.mounts import id_bounds, key_pages, query_plan
from backend.mounts.query_plan import Place, QueryPlan
from backend.mounts.schemas import Filters, MountView, Sort

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
        span = id_bounds.span(connection, filters)
        plan = query_plan.plan(ledger, filters, sort, timed=span is not None)
        after = query_plan.read_cursor(cursor, plan.sort) if cursor else None
        rows, stopped = _Search(connection, ledger, filters, plan, span).read(after, limit + 1)
        following = plan.place(rows[limit - 1]) if len(rows) > limit else stopped
        found = [MountView.model_validate(entries.read(row)) for row in rows[:limit]]
        return found, query_plan.cursor_text(plan, *following) if following else None, plan.sort

    return ledger.read(work)


class _Search:
    """The queries of one page."""

    def __init__(
        self,
        connection: Connection,
        ledger: Ledger,
        filters: Filters,
        plan: QueryPlan,
        span: id_bounds.Span | None,
    ) -> None:
        self.connection = connection
        self.ledger = ledger
        self.filters = filters
        self.plan = plan
        self.span = span

    def read(self, after: Place | None, wanted: int) -> tuple[list[Row[Any]], Place | None]:
        """Up to `wanted` rows, and where the search stopped before its end."""
        plan = self.plan
        if after is None:  # later pages start where the cursor says, which is inside the range
            plan = self._within(since=not plan.descending, until=plan.descending)
        first = min(FIRST_LOOK * wanted, EXAMINE) if plan.left else wanted
        if plan.scattered and plan.descending and self.ledger.dialect in ("mysql", "mariadb"):
            near = self._near(plan, after, first, wanted)
            if len(near) == wanted:
                return near, None
            return self._batch(self._within(since=True, until=True), after, EXAMINE, wanted)
        rows, end = self._batch(plan, after, first, wanted)
        if end is None or first == EXAMINE:
            return rows, end
        plan = self._within(since=True, until=True)
        more, end = self._batch(plan, end, EXAMINE - first, wanted - len(rows))
        return rows + more, end

    def _near(self, plan: QueryPlan, after: Place | None, size: int, wanted: int) -> list[Row[Any]]:
        """Mounted entries not far behind, from each host's part of the index.

        Within a host the index is in the order of ids, so that only what is near is read. Fewer
        than `wanted` prove nothing.
        """
        query = self.ledger.hinted(select(t.host).group_by(t.host), "idx_host")
        hosts = list(self.connection.execute(query.limit(MOST_HOSTS + 1)).scalars())
        start = after[1] if after else plan.high or self._newest_id()
        rows: list[Row[Any]] = []
        looks = ((NEAR, size), (LESS_NEAR, EXAMINE // 3))
        for far, most in looks[1:] if self.filters.deleted else looks:  # few are deleted
            if len(rows) < wanted and len(hosts) <= MOST_HOSTS:
                covered = (*plan.covered, t.host.in_(hosts))
                close = replace(plan, covered=covered, low=start - far)
                rows = self._rows(close, after, most, wanted)
        return rows

    def _within(self, *, since: bool, until: bool) -> QueryPlan:
        """The plan between the id bounds of the time range."""
        if self.span is None:
            return self.plan
        return replace(
            self.plan,
            low=id_bounds.lowest(self.connection, self.span, self.filters.since if since else None),
            high=id_bounds.highest(
                self.connection, self.span, self.filters.until if until else None
            ),
        )

    def _newest_id(self) -> int:
        return self.connection.execute(select(func.max(t.id))).scalar() or 0

    def _batch(
        self, plan: QueryPlan, after: Place | None, size: int, wanted: int
    ) -> tuple[list[Row[Any]], Place | None]:
        """Up to `wanted` rows of the next `size` entries; where those end, with fewer rows than
        wanted and more entries to come."""
        if plan.among_mounted:
            return self._batch_by_ids(plan, after, size, wanted)
        rows = self._rows(plan, after, size, wanted)
        if len(rows) == wanted:
            return rows, None
        last = query_plan.inner(self.ledger, plan, after, 1).offset(size - 1)
        end = self.connection.execute(last).first()
        if end is None:
            return rows, None
        return rows, (None if plan.by is None else end.sort_key, end.id)

    def _rows(self, plan: QueryPlan, after: Place | None, size: int, wanted: int) -> list[Row[Any]]:
        query = query_plan.matching(self.ledger, plan, after, size, wanted)
        return list(self.connection.execute(query))

    def _batch_by_ids(
        self, plan: QueryPlan, after: Place | None, size: int, wanted: int
    ) -> tuple[list[Row[Any]], Place | None]:
        """The same where ids are few and costly to find: they are asked for once."""
        ids = list(
            self.connection.execute(query_plan.inner(self.ledger, plan, after, size)).scalars()
        )
        query = self.ledger.entry().where(t.id.in_(ids), *plan.left)
        query = query.order_by(t.id.desc() if plan.descending else t.id).limit(wanted)
        rows = list(self.connection.execute(query)) if ids else []
        through = len(rows) == wanted or len(ids) < size
        return rows, None if through else (None, ids[-1])
