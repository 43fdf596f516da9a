"""Pages of a ledger of a DMS server: its entries have no id, so the key of the order is all there
is to go on from. Indexes there are the deployment's (data/ledger_indexes.server.sql has those that
help); the optimiser chooses among them.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Row,
    String,
    and_,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from backend.dms import entries, shape
from backend.dms.entries import LedgerEntry
from backend.dms.ledger import Ledger
from backend.mounts import query_plan
from backend.mounts.errors import BadCursor
from backend.mounts.schemas import Filters, MountView, Sort

_ORDERS: dict[Sort, tuple[str, ...]] = {
    "newest": ("created_at", *shape.KEY),
    "oldest": ("created_at", *shape.KEY),
    "host": ("host", "jobid", "backup_target_id"),
    "target": ("backup_target_id", "jobid", "host"),
    "job": shape.KEY,
}


def page(
    ledger: Ledger, filters: Filters, sort: Sort, cursor: str, limit: int
) -> tuple[list[MountView], str | None, Sort]:
    """Up to `limit` entries, the cursor after them, and the sort."""
    query = _sorted(ledger, ledger.entry(), sort).where(
        *query_plan.conditions(ledger, filters).values()
    )
    if cursor:
        query = query.where(_beyond(ledger, sort, _read(cursor, sort)))
    if sort in ("newest", "oldest") and not _narrow(filters):
        query = ledger.hinted(query, "idx_created_at")
    rows = ledger.read(lambda c: list(c.execute(query.limit(limit + 1))))
    found = [MountView.model_validate(entries.read(row)) for row in rows[:limit]]
    return found, _text(sort, rows[limit - 1]) if len(rows) > limit else None, sort


def _narrow(filters: Filters) -> bool:
    """So few entries fit that the order's index would be read in vain."""
    some = (filters.host, filters.target, filters.job is not None, filters.mounted)
    return any(some) or bool(filters.deleted)


def groups(ledger: Ledger, filters: Filters, sample: int) -> tuple[list[tuple[str, str, int]], int]:
    """(host, target, entries) among `sample` that fit, and how many those were.

    The newest where an index knows them; else whichever the database finds first.
    """
    pairs = select(ledger.t.host, ledger.t.backup_target_id)
    some = newest(ledger, filters, pairs).limit(sample).subquery("k")
    counted = select(
        func.min(some.c.host), func.min(some.c.backup_target_id), func.count()
    ).group_by(ledger.spelling(some.c.host), ledger.spelling(some.c.backup_target_id))
    found = [
        (str(h), str(t), int(n)) for h, t, n in ledger.read(lambda c: c.execute(counted).all())
    ]
    return found, sum(count for _host, _target, count in found)


def newest(ledger: Ledger, filters: Filters, query: Any = None) -> Any:
    """`query` (else of whole entries) for those that fit, the newest first where an index knows
    them; else whichever the database finds first."""
    query = ledger.entry() if query is None else query
    query = query.where(*query_plan.conditions(ledger, filters).values())
    return _sorted(ledger, query, "newest") if "created_at" in ledger.shape.leading else query


def mounted_batch(ledger: Ledger, after: MountView | None, size: int) -> list[MountView]:
    """Mounted entries by host, the next `size` after `after`."""
    query = _sorted(ledger, ledger.entry(), "host").where(ledger.shape.flag("mounted", True))
    if after is not None:
        place = [after.host, after.jobid, after.backup_target_id]
        query = query.where(_beyond(ledger, "host", place))
    return [MountView.model_validate(entry) for entry in ledger.entries(query.limit(size))]


def newest_of(ledger: Ledger, host: str) -> list[LedgerEntry]:
    """The host's entries that were made and changed last; none where no index leads to them."""
    if "host" not in ledger.shape.leading:
        return []
    query = ledger.entry().where(ledger.exactly(ledger.t.host, host))
    return [
        entry
        for column in (ledger.t.created_at, ledger.t.updated_at)
        for entry in ledger.entries(
            query.order_by(ledger.shape.ordered(column, descending=True)).limit(1)
        )
    ]


def _sorted(ledger: Ledger, query: Any, sort: Sort) -> Any:
    columns = [ledger.t[name] for name in _ORDERS[sort]]
    down = sort == "newest"
    return query.order_by(*(ledger.shape.ordered(c, descending=down) for c in columns))


def _beyond(ledger: Ledger, sort: Sort, place: list[Any]) -> ColumnElement[bool]:
    """Entries behind `place` in the order; NULL is the least of all."""
    down, steps = sort == "newest", []
    same: list[ColumnElement[bool]] = []
    for name, value in zip(_ORDERS[sort], place, strict=True):
        column, spelt = _comparable(ledger, name, value)
        steps.append(and_(*same, _past(column, spelt, down=down)))
        same.append(column.is_(None) if spelt is None else column == spelt)
    return or_(*steps)


def _past(column: ColumnElement[Any], value: Any, *, down: bool) -> ColumnElement[bool]:
    if value is None:
        return false() if down else column.is_not(None)
    return or_(column < value, column.is_(None)) if down else column > value


def _comparable(ledger: Ledger, name: str, value: Any) -> tuple[ColumnElement[Any], Any]:
    """The column and the value as this database compares them, also a time that is none."""
    column = ledger.t[name]
    if name != "created_at" or value is None:
        return column, value
    said = literal(value, String)
    if ledger.dialect == "postgresql":
        return column, cast(said, DateTime)
    return type_coerce(column, String), said


def _text(sort: Sort, row: Row[Any]) -> str:
    place = [getattr(row, name) for name in _ORDERS[sort]]
    return query_plan.encoded(
        [sort, [p if p is None or isinstance(p, int) else str(p) for p in place]]
    )


def _read(text: str, sort: Sort) -> list[Any]:
    """The place; raises BadCursor for anything else, and for another order's cursor."""
    found_sort, place = query_plan.decoded(text, 2)
    if found_sort != sort or not isinstance(place, list) or len(place) != len(_ORDERS[sort]):
        raise BadCursor
    for name, value in zip(_ORDERS[sort], place, strict=True):
        number = isinstance(value, int)
        if number != (name == "jobid") or not (number or value is None or isinstance(value, str)):
            raise BadCursor
    return place
