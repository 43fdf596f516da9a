"""Every query of the explorer on the ledger's database; all bounded."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal,
    select,
    text,
    true,
)

from backend.dms import schema
from backend.dms.entries import LedgerEntry, distinct
from backend.dms.ledger import Ledger
from backend.dms.schema import COLUMNS as OPERATION_COLUMNS
from backend.dms.shape import read_key
from backend.mounts import id_bounds, key_pages, query_plan
from backend.mounts.errors import MountNotFound, OperationNotFound
from backend.mounts.place_schemas import Side
from backend.mounts.query_plan import QueryPlan
from backend.mounts.schemas import EMPTY, Filters, MountView, OperationView, aware

MAX_GROUPS = 30
#: Names of hosts that are looked through for a part of one, and that one part may stand for.
MOST_NAMES, MOST_PARTS = 20_000, 200

t = schema.ledger.c
o = schema.operation.c


def with_hosts(ledger: Ledger, filters: Filters) -> Filters:
    """The filters with the names that `filters.host` is a part of, where no host is called that."""
    part = filters.host
    if not part or part == EMPTY or filters.hosts is not None or is_named(ledger, "host", part):
        return filters
    query = select(ledger.t.host).group_by(ledger.t.host)
    query = ledger.hinted(query.order_by(ledger.t.host), "idx_host")
    names = ledger.read(lambda c: list(c.execute(query.limit(MOST_NAMES)).scalars()))
    fitting = [name for name in names if name and part.casefold() in str(name).casefold()]
    return replace(filters, hosts=tuple(fitting[:MOST_PARTS]))


def is_named(ledger: Ledger, side: Side, name: str) -> bool:
    """Whether any entry is of just this host or target."""
    column = ledger.t.host if side == "host" else ledger.t.backup_target_id
    query = select(column).where(ledger.exactly(column, "" if name == EMPTY else name)).limit(1)
    return ledger.read(lambda c: c.execute(query).first()) is not None


# -- counts --------------------------------------------------------------------------------------


def groups(ledger: Ledger, filters: Filters, sample: int) -> tuple[list[tuple[str, str, int]], int]:
    """(host, target, matching entries) among the newest `sample`, and how many those were."""
    if not ledger.shape.has_id:
        return key_pages.groups(ledger, filters, sample)

    def work(connection: Connection) -> tuple[list[tuple[str, str, int]], int]:
        plan, ids = _newest_ids(connection, ledger, filters, sample)
        matches = case((and_(true(), *plan.left), 1), else_=0) if plan.left else literal(1)
        rows = connection.execute(
            select(
                func.min(t.host),
                func.min(t.backup_target_id),
                func.sum(matches).label("matching"),
                func.count().label("seen"),
            )
            .select_from(ids)
            .join(schema.ledger, t.id == ids.c.id)
            .group_by(*(ledger.spelling(column) for column in (t.host, t.backup_target_id)))
        ).all()
        found = [(row[0], row[1], int(row.matching)) for row in rows]
        return found, sum(int(row.seen) for row in rows)

    return ledger.read(work)


def newest(ledger: Ledger, filters: Filters, sample: int) -> list[LedgerEntry]:
    """Entries that fit, among the newest `sample` that the filters lead to."""
    if not ledger.shape.has_id:
        return ledger.entries(key_pages.newest(ledger, filters).limit(sample))

    def work(connection: Connection) -> Select[Any]:
        plan, ids = _newest_ids(connection, ledger, filters, sample)
        query = ledger.entry().select_from(ids).join(schema.ledger, t.id == ids.c.id)
        return query.where(*plan.left)

    return ledger.entries(ledger.read(work))


def _newest_ids(
    connection: Connection, ledger: Ledger, filters: Filters, sample: int
) -> tuple[QueryPlan, Subquery]:
    """The ids of the newest `sample` entries that the filters' index leads to, and what is left to
    check on their rows."""
    span = id_bounds.span(connection, filters)
    plan = query_plan.plan(ledger, filters, "newest", timed=span is not None)
    if span is not None:
        plan = replace(
            plan,
            low=id_bounds.lowest(connection, span, filters.since),
            high=id_bounds.highest(connection, span, filters.until),
        )
    return plan, query_plan.inner(ledger, plan, None, sample).subquery("k")


def estimated_size(ledger: Ledger) -> int:
    """The database's own idea of how many entries there are; of now, where MySQL would remember
    for a day what it was."""
    statements = {
        "mysql": "SELECT table_rows FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name = :name",
        "postgresql": "SELECT reltuples::bigint FROM pg_class WHERE relname = :name",
    }
    dialect = "mysql" if ledger.dialect == "mariadb" else ledger.dialect
    if dialect in statements:

        def work(connection: Connection) -> Any:
            if getattr(connection.dialect, "is_mariadb", None) is False:
                connection.execute(text("SET SESSION information_schema_stats_expiry = 0"))
            query = text(statements[dialect])
            return connection.execute(query, {"name": schema.LEDGER_NAME}).scalar()

        return max(0, int(ledger.read(work) or 0))
    size = func.max(t.id) if ledger.shape.has_id else func.count()
    all_of_them = select(size).select_from(ledger.shape.table)
    return int(ledger.read(lambda c: c.execute(all_of_them).scalar()) or 0)


# -- single entries ------------------------------------------------------------------------------


def find(ledger: Ledger, key: str) -> MountView:
    """The entry of that key. Raises MountNotFound."""
    wanted, c = read_key(key), ledger.t
    what = f"number {key}" if isinstance(wanted, int) else f"the key {key}"
    which: tuple[ColumnElement[bool], ...]
    if ledger.shape.has_id and isinstance(wanted, int):
        which = (c.id == wanted,)
    elif not ledger.shape.has_id and isinstance(wanted, tuple):
        jobid, target, host = wanted
        which = (
            c.jobid == jobid,
            ledger.exactly(c.backup_target_id, target),
            ledger.exactly(c.host, host),
        )
    else:
        raise MountNotFound(what)
    found = ledger.entries(ledger.entry().where(*which).limit(1))
    if not found:
        raise MountNotFound(what)
    return MountView.model_validate(found[0])


def holders(ledger: Ledger, target: str, host: str, limit: int = 200) -> list[MountView]:
    """Mounted entries of the pair; for an unmount soft-deleted and other spellings count too."""
    return _mounted(ledger, limit, ledger.t.host == host, ledger.t.backup_target_id == target)


def of_host(ledger: Ledger, host: str, limit: int) -> list[MountView]:
    """Mounted entries of the host, oldest first, soft-deleted ones included."""
    return _mounted(ledger, limit, ledger.exactly(ledger.t.host, host))


def _mounted(ledger: Ledger, limit: int, *which: ColumnElement[bool]) -> list[MountView]:
    query = ledger.entry().where(ledger.shape.flag("mounted", True), *which)
    query = ledger.hinted(query, "idx_mounted_host")
    query = query.order_by(*ledger.shape.order(newest_first=False)).limit(limit)
    return [MountView.model_validate(entry) for entry in distinct(ledger.entries(query))]


def of_job(ledger: Ledger, jobid: int, target: str, limit: int = 100) -> list[MountView]:
    """The job's entries for the target, newest first; one per host, mounted ones preferred."""
    c = ledger.t
    query = ledger.entry().where(c.jobid == jobid, ledger.exactly(c.backup_target_id, target))
    query = query.order_by(*ledger.shape.order(newest_first=True)).limit(limit)
    found = ledger.entries(ledger.hinted(query, "idx_job_target"))
    kept = distinct(sorted(found, key=lambda entry: (entry.deleted, not entry.mounted)))
    return [MountView.model_validate(entry) for entry in found if entry in kept]


def mounted_batch(ledger: Ledger, after: MountView | None, size: int) -> list[MountView]:
    """Mounted entries by host, the next `size` after the last one of the batch before."""
    if not ledger.shape.has_id:
        return key_pages.mounted_batch(ledger, after, size)
    plan = QueryPlan("idx_mounted_host", (t.mounted == true(),), (), "host", t.host)
    place = (after.host, after.id) if after is not None and after.id is not None else None
    query = query_plan.matching(ledger, plan, place, size, size)
    return [MountView.model_validate(entry) for entry in ledger.entries(query)]


def last_seen(ledger: Ledger, host: str) -> datetime | None:
    """When something was heard of the host: its newest entry, or an operation on it."""
    c = ledger.t
    if ledger.shape.has_id:
        query = ledger.entry().where(ledger.exactly(c.host, host))
        query = ledger.hinted(query, "idx_host").order_by(c.id.desc()).limit(1)
        found = ledger.entries(query)
    else:
        found = key_pages.newest_of(ledger, host)
    times = [moment for entry in found for moment in (entry.created_at, entry.updated_at)]
    times += [_naive(op.created_at) for op in operations(ledger, host=host, limit=1)]
    known = [moment for moment in times if moment is not None]
    return aware(max(known)) if known else None


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


# -- operations ----------------------------------------------------------------------------------


def operations(
    ledger: Ledger,
    *,
    host: str = "",
    target: str = "",
    job: int | None = None,
    status: str = "",
    before: int | None = None,
    limit: int,
) -> list[OperationView]:
    """Newest first. Empty when this ledger has no operation records."""
    which = [
        column == value
        for column, value in ((o.host, host), (o.backup_target_id, target), (o.state, status))
        if value
    ]
    if job is not None:
        which.append(o.jobid == job)
    if before is not None:
        which.append(o.id < before)
    return _operations(ledger, limit, *which)


def unknown_operations(ledger: Ledger, limit: int) -> list[OperationView]:
    """Operations whose outcome is unknown, and those whose client vanished."""
    gone = and_(o.state == "in_flight", o.lease_until < ledger.now())
    return _operations(ledger, limit, (o.state == "unknown") | gone)


def operation(ledger: Ledger, operation_id: str) -> OperationView:
    """Raises OperationNotFound."""
    found = _operations(ledger, 1, o.operation_id == operation_id)
    if not found:
        raise OperationNotFound(operation_id)
    return found[0]


def _operations(ledger: Ledger, limit: int, *which: ColumnElement[bool]) -> list[OperationView]:
    if not ledger.has_operations():
        return []
    query = select(*OPERATION_COLUMNS).where(*which).order_by(o.id.desc()).limit(limit)
    rows = ledger.read(lambda c: list(c.execute(query)))
    return [OperationView.model_validate(row) for row in rows]
