"""How the ledger is read page by page on ten million rows: index, order, and what is left to check.

The table belongs to the deployment, so its indexes are given; those it may add are used where they
are there. MariaDB's optimiser, left alone,
takes `idx_deleted` for `deleted = 0 … ORDER BY id` and reads half the table. So a page is one query
in two halves: the inner one takes ids from one forced index (covering, in key order, from the
cursor on), the outer one fetches those rows by primary key, checks what the index did not, and
stops at the end of the page.
"""

import base64
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, false, or_, select, true

from backend.dms import schema
from backend.dms.ledger import Ledger
from backend.dms.shape import MOST_DIGITS
from backend.mounts.errors import BadCursor
from backend.mounts.schemas import EMPTY, Filters, Sort

#: More mounted entries than this are not searched for one target's.
MOST_MOUNTED = 1_000_000

t = schema.ledger.c
#: The sort key (None: there is none but the id) and the id of an entry.
Place = tuple[Any, int]


@dataclass(frozen=True)
class QueryPlan:
    """index: forced one, None for the primary key. covered: conditions it answers by itself.

    left: conditions checked on the fetched rows. by: first key of the order, None for the id.
    among_mounted: ids must be in the (short) list of mounted entries, read from its index alone.
    scattered: the index is in the order of ids only within each host. low, high: only these ids.
    """

    index: str | None
    covered: tuple[ColumnElement[bool], ...]
    left: tuple[ColumnElement[bool], ...]
    sort: Sort
    by: Any = None
    among_mounted: bool = False
    scattered: bool = False
    low: int | None = None
    high: int | None = None

    @property
    def descending(self) -> bool:
        return self.sort == "newest"

    def place(self, row: Row[Any]) -> Place:
        return (None if self.by is None else getattr(row, self.by.name)), row.id


def plan(ledger: Ledger, filters: Filters, sort: Sort, *, timed: bool) -> QueryPlan:
    """The cheapest way through the indexes for these filters.

    timed: a time range will be narrowed down by ids. A sort that no index gives together with the
    filters becomes "newest"; the result says so.
    """
    wanted = conditions(ledger, filters)
    if sort in ("host", "target", "job") and timed:
        sort = "newest"  # ids and another order at once: no index has both
    added = ADDED_INDEXES & ledger.indexes
    if sort in ("host", "target", "job"):
        added -= {"idx_mounted_deleted"}  # it is in the order of ids only
    index, covered, answered = _start(filters, wanted, added)
    among_mounted = index == "idx_backup_target_id" and filters.mounted is True
    by = None
    if sort in ("host", "target", "job"):
        index, covered, answered, by, sort = _sorted(sort, index, covered, answered)
    if among_mounted:
        answered = answered | {"mounted"}
    left = [condition for name, condition in wanted.items() if name not in answered]
    scattered = by is None and answered == {"mounted"}
    return QueryPlan(index, covered, tuple(left), sort, by, among_mounted, scattered)


def conditions(ledger: Ledger, filters: Filters) -> dict[str, ColumnElement[bool]]:
    """What each filter asks of the ledger's table; texts byte by byte, as the client compares."""
    c = ledger.t
    found: dict[str, ColumnElement[bool]] = {}
    if filters.hosts is not None:
        found["hosts"] = ledger.exactly(c.host, *filters.hosts) if filters.hosts else false()
    elif filters.host:
        found["host"] = ledger.exactly(c.host, _text(filters.host))
    if filters.target:
        found["target"] = ledger.exactly(c.backup_target_id, _text(filters.target))
    if filters.job is not None:
        found["job"] = c.jobid == filters.job
    if filters.mounted is not None:
        found["mounted"] = ledger.shape.flag("mounted", filters.mounted)
    if filters.deleted is not None:
        found["deleted"] = ledger.shape.flag("deleted", filters.deleted)
    if filters.since is not None:
        found["since"] = c.created_at >= _naive(filters.since)
    if filters.until is not None:
        found["until"] = c.created_at <= _naive(filters.until)
    return found


def _text(wanted: str) -> str:
    return "" if wanted == EMPTY else wanted


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


#: Filters an index answers completely, the most selective first; keys in order within it: the id.
_STARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("idx_job_target", ("job", "target")),
    ("idx_jobid", ("job",)),
    ("idx_target_host", ("target", "host")),
    ("idx_mounted_host", ("mounted", "host")),
    ("idx_target_mounted", ("target", "mounted")),
    ("idx_mounted_deleted", ("mounted", "deleted")),
)
#: Of these, the ones a deployment may add to its table: data/ledger_indexes.sql.
ADDED_INDEXES = frozenset({"idx_target_host", "idx_target_mounted", "idx_mounted_deleted"})


def _start(
    filters: Filters, wanted: Mapping[str, ColumnElement[bool]], added: Set[str]
) -> tuple[str | None, tuple[ColumnElement[bool], ...], set[str]]:
    for index, names in _STARTS:
        if index in ADDED_INDEXES and index not in added:
            continue
        if all(name in wanted for name in names):
            return index, tuple(wanted[name] for name in names), set(names)
    for index, name in (
        ("idx_backup_target_id", "target"),
        # few entries are mounted: their ids come from the index alone, sorted afterwards
        ("idx_mounted_host", "mounted" if filters.mounted else ""),
        ("idx_host", "host"),
        ("idx_deleted", "deleted" if filters.deleted else ""),
    ):
        if name in wanted:
            return index, (wanted[name],), {name}
    return None, (), set()


def _sorted(
    sort: Sort,
    index: str | None,
    covered: tuple[ColumnElement[bool], ...],
    answered: set[str],
) -> tuple[str | None, tuple[ColumnElement[bool], ...], set[str], Any, Sort]:
    if sort == "host" and answered == {"mounted"} and index == "idx_mounted_host":
        return index, covered, answered, t.host, sort
    free = {"host": "idx_host", "target": "idx_backup_target_id", "job": "idx_jobid"}
    columns = {"host": t.host, "target": t.backup_target_id, "job": t.jobid}
    if not answered & {"host", "target", "job", "mounted"}:
        return free[sort], (), set(), columns[sort], sort
    return index, covered, answered, None, "newest"


def matching(
    ledger: Ledger, plan: QueryPlan, after: Place | None, size: int, wanted: int
) -> Select[Any]:
    """Up to `wanted` rows that fit, among the next `size` entries."""
    ids = inner(ledger, plan, after, size).subquery("k")
    query = ledger.entry().select_from(ids).join(schema.ledger, t.id == ids.c.id).where(*plan.left)
    query = _in_this_order(query)
    if plan.by is not None:
        return query.order_by(ids.c.sort_key, ids.c.id).limit(wanted)
    return query.order_by(ids.c.id.desc() if plan.descending else ids.c.id).limit(wanted)


def inner(ledger: Ledger, plan: QueryPlan, after: Place | None, limit: int) -> Select[Any]:
    """Ids (and sort keys) of the next `limit` entries in the plan's order."""
    columns = [t.id] if plan.by is None else [t.id, plan.by.label("sort_key")]
    bounds = _bounds(plan, after)
    query = select(*columns).where(*plan.covered, *bounds)
    if plan.by is not None:
        query = query.order_by(plan.by, t.id)
    else:
        query = query.order_by(t.id.desc() if plan.descending else t.id)
    query = _narrowed(ledger, plan, query, bounds)
    if plan.index is None:
        return ledger.forced(query, "PRIMARY").limit(limit)
    return ledger.hinted(query, plan.index).limit(limit)


def _narrowed(
    ledger: Ledger, plan: QueryPlan, query: Select[Any], bounds: list[ColumnElement[bool]]
) -> Select[Any]:
    """Join the ids of mounted entries where they are asked for; the order of the join is ours."""
    if not plan.among_mounted:
        return query
    held = select(t.id).where(t.mounted == true(), *bounds)
    # the limit keeps the optimiser from merging this into a row-by-row look-up
    ids = ledger.hinted(held, "idx_mounted_host").limit(MOST_MOUNTED).subquery("held")
    return _in_this_order(query.select_from(schema.ledger.join(ids, ids.c.id == t.id)))


def _in_this_order(query: Select[Any]) -> Select[Any]:
    """Tables are joined as they are written, whatever the optimiser thinks of it."""
    for name in ("mysql", "mariadb"):
        query = query.prefix_with("STRAIGHT_JOIN", dialect=name)
    return query


def _bounds(plan: QueryPlan, after: Place | None) -> list[ColumnElement[bool]]:
    found = [t.id >= plan.low] if plan.low is not None else []
    if plan.high is not None:
        found.append(t.id <= plan.high)
    if after is not None:
        found.append(_beyond(plan, after))
    return found


def _beyond(plan: QueryPlan, after: Place) -> ColumnElement[bool]:
    key, last_id = after
    if plan.by is None:
        return t.id < last_id if plan.descending else t.id > last_id
    return or_(plan.by > key, and_(plan.by == key, t.id > last_id))


def cursor_text(plan: QueryPlan, key: Any, last_id: int) -> str:
    """The cursor as it travels in URLs and JSON."""
    return encoded([plan.sort, key, last_id])


def encoded(parts: list[Any]) -> str:
    """JSON that may stand in an address."""
    document = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decoded(text: str, count: int) -> list[Any]:
    """So many parts; raises BadCursor for anything else."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (ValueError, RecursionError) as exc:
        raise BadCursor from exc
    if not isinstance(found, list) or len(found) != count:
        raise BadCursor
    return found


def read_cursor(text: str, sort: Sort) -> Place:
    """Sort key and id; raises BadCursor for anything else, and for another order's cursor."""
    found_sort, key, last_id = decoded(text, 3)
    good_key = key is None or isinstance(key, str | int)
    if found_sort != sort or not isinstance(last_id, int) or not good_key:
        raise BadCursor
    return key, last_id


def read_id(text: str) -> int | None:
    """The cursor of a list whose order is the id; raises BadCursor. "": the first page."""
    if text and not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise BadCursor
    return int(text) if text else None
