"""Every query of the explorer on the ledger's database; all bounded."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, literal, select, text, true

from backend.dms import schema
from backend.dms.ledger import Ledger
from backend.dms.operations import COLUMNS as OPERATION_COLUMNS
from backend.dms.operations import Operation
from backend.mounts import walk as walks
from backend.mounts.schemas import Filters, MountView, OperationView, Sort
from backend.mounts.walk import Walk

#: A ledger smaller than this is searched by created_at itself; a larger one by ids.
BISECT_FROM = 100_000
#: Entries are made in the order of their ids, but for clocks that differ by less than this.
SLACK = timedelta(hours=1)
MAX_GROUPS = 30
#: How close two ids must be for a time's fence.
FENCE = 2_000

t = schema.ledger.c
o = schema.operation.c
_VIEW = [
    t.id,
    t.backup_target_id,
    t.jobid,
    t.host,
    t.mounted,
    t.deleted,
    t.created_at,
    t.updated_at,
    t.deleted_at,
    t.version,
]


def aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None else None


def view(row: Row[Any]) -> MountView:
    created = aware(row.created_at)
    assert created is not None  # noqa: S101 - NOT NULL
    return MountView(
        id=row.id,
        backup_target_id=row.backup_target_id,
        jobid=row.jobid,
        host=row.host,
        mounted=bool(row.mounted),
        deleted=bool(row.deleted),
        created_at=created,
        updated_at=aware(row.updated_at),
        deleted_at=aware(row.deleted_at),
        version=row.version,
    )


def page(
    ledger: Ledger, filters: Filters, sort: Sort, cursor: str, limit: int
) -> tuple[list[MountView], str | None, Walk, int]:
    """Up to `limit` entries, the cursor after them, how it was read, how many were looked at."""

    def work(connection: Connection) -> tuple[list[MountView], str | None, Walk, int]:
        walk = walks.plan(filters, sort, _bounds(connection, filters))
        after = walks.read_cursor(cursor, walk.sort) if cursor else None
        found: list[Row[Any]] = []
        examined = 0
        for number, size in enumerate(walks.steps(walk, limit)):
            step = _first_step if number == 0 else _later_step
            rows, seen, after = step(connection, ledger, walk, after, size, limit + 1 - len(found))
            found += rows
            examined += seen
            if len(found) > limit:
                last = found[limit - 1]
                text = walks.cursor_text(walk, _key(walk, last), last.id)
                return [view(row) for row in found[:limit]], text, walk, examined
            if seen < size or after is None:
                return [view(row) for row in found], None, walk, examined
        following = walks.cursor_text(walk, *after) if after is not None else None
        return [view(row) for row in found], following, walk, examined

    return ledger.read(work)


_Place = tuple[Any, int] | None


def _first_step(
    connection: Connection, ledger: Ledger, walk: Walk, after: _Place, size: int, _wanted: int
) -> tuple[list[Row[Any]], int, _Place]:
    """A few hundred entries, checked here: one query tells what fits and where it ended."""
    rows = connection.execute(_flagged(ledger, walk, after, size)).all()
    end = (_key(walk, rows[-1]), rows[-1].id) if rows else None
    return [row for row in rows if row.fits], len(rows), end


def _later_step(
    connection: Connection, ledger: Ledger, walk: Walk, after: _Place, size: int, wanted: int
) -> tuple[list[Row[Any]], int, _Place]:
    """Thousands of entries, checked by the database, which sends only what fits."""
    rows = list(connection.execute(_rows(ledger, walk, after, size, wanted)))
    if len(rows) >= wanted:
        return rows, size, after
    return rows, *_seen(connection, ledger, walk, after, size)


def _rows(
    ledger: Ledger, walk: Walk, after: tuple[Any, int] | None, size: int, limit: int
) -> Select[Any]:
    """The rows of the next `size` ids that pass what is left to check."""
    ids = walks.inner(ledger, walk, after, size).subquery("k")
    query = select(*_VIEW).select_from(ids).join(schema.ledger, t.id == ids.c.id).where(*walk.left)
    if walk.by is not None:
        return query.order_by(ids.c.sort_key, ids.c.id).limit(limit)
    return query.order_by(ids.c.id.desc() if walk.descending else ids.c.id).limit(limit)


def _flagged(ledger: Ledger, walk: Walk, after: tuple[Any, int] | None, size: int) -> Select[Any]:
    """All rows of the next `size` ids, each with whether it passes what is left to check."""
    ids = walks.inner(ledger, walk, after, size).subquery("k")
    fits = case((and_(true(), *walk.left), 1), else_=0) if walk.left else literal(1)
    query = select(*_VIEW, fits.label("fits")).select_from(ids)
    query = query.join(schema.ledger, t.id == ids.c.id)
    if walk.by is not None:
        return query.order_by(ids.c.sort_key, ids.c.id)
    return query.order_by(ids.c.id.desc() if walk.descending else ids.c.id)


def _key(walk: Walk, row: Row[Any]) -> Any:
    return None if walk.by is None else getattr(row, walk.by.name)


def _seen(
    connection: Connection, ledger: Ledger, walk: Walk, after: tuple[Any, int] | None, size: int
) -> tuple[int, tuple[Any, int] | None]:
    """How many ids the step looked at, and where the next one starts."""
    ids = walks.inner(ledger, walk, after, size).subquery("k")
    if walk.by is None:
        end = func.min(ids.c.id) if walk.descending else func.max(ids.c.id)
        count, last = connection.execute(select(func.count(), end).select_from(ids)).one()
        return count, (None, last) if last is not None else None
    rows = connection.execute(walks.inner(ledger, walk, after, size)).all()
    return len(rows), (rows[-1].sort_key, rows[-1].id) if rows else None


def _bounds(connection: Connection, filters: Filters) -> tuple[int | None, int | None]:
    """Ids between which a time range surely lies; (None, None) when looking is not worth it.

    They are only a coarse fence: created_at itself is checked on every row within it.
    """
    if filters.since is None and filters.until is None:
        return None, None
    low, high = connection.execute(select(func.min(t.id), func.max(t.id))).one()
    if low is None or high - low < BISECT_FROM:
        return None, None
    since, until = filters.since, filters.until
    first = _fence(connection, since - SLACK, low, high)[0] if since else None
    last = _fence(connection, until + SLACK, low, high)[1] if until else None
    return first, last


def _fence(connection: Connection, moment: datetime, low: int, high: int) -> tuple[int, int]:
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


# -- counts --------------------------------------------------------------------------------------


def groups(ledger: Ledger, filters: Filters, sample: int) -> tuple[list[tuple[str, str, int]], int]:
    """(host, target, matching entries) among the newest `sample`, and how many those were."""

    def work(connection: Connection) -> tuple[list[tuple[str, str, int]], int]:
        walk = walks.plan(filters, "newest", _bounds(connection, filters))
        ids = walks.inner(ledger, walk, None, sample).subquery("k")
        matches = case((and_(true(), *walk.left), 1), else_=0) if walk.left else literal(1)
        rows = connection.execute(
            select(
                t.host,
                t.backup_target_id,
                func.sum(matches).label("matching"),
                func.count().label("seen"),
            )
            .select_from(ids)
            .join(schema.ledger, t.id == ids.c.id)
            .group_by(t.host, t.backup_target_id)
        ).all()
        found = [(row[0], row[1], int(row.matching)) for row in rows]
        return found, sum(int(row.seen) for row in rows)

    return ledger.read(work)


def estimated_size(ledger: Ledger) -> int:
    """The database's own idea of how many entries there are."""
    statements = {
        "mysql": "SELECT table_rows FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name = :name",
        "postgresql": "SELECT reltuples::bigint FROM pg_class WHERE relname = :name",
    }
    dialect = "mysql" if ledger.dialect == "mariadb" else ledger.dialect
    if dialect in statements:
        query = text(statements[dialect])
        found = ledger.read(lambda c: c.execute(query, {"name": schema.LEDGER_NAME}).scalar())
        return max(0, int(found or 0))
    return int(ledger.read(lambda c: c.execute(select(func.max(t.id))).scalar()) or 0)


def newest(ledger: Ledger, sample: int) -> list[Row[Any]]:
    """created_at, updated_at, mounted of the newest `sample` entries."""
    query = select(t.id, t.created_at, t.updated_at, t.mounted).order_by(t.id.desc()).limit(sample)
    return ledger.read(lambda c: list(c.execute(query)))


def active_groups(ledger: Ledger, limit: int) -> list[tuple[str, str, int]]:
    """(host, target, mounted entries), from at most `limit` mounted entries."""
    found, _seen_count = groups(ledger, Filters(mounted=True, deleted=False), limit)
    return found


# -- single entries ------------------------------------------------------------------------------


def find(ledger: Ledger, entry_id: int) -> MountView | None:
    query = select(*_VIEW).where(t.id == entry_id)
    row = ledger.read(lambda c: c.execute(query).first())
    return view(row) if row is not None else None


def holders(ledger: Ledger, target: str, host: str, limit: int = 200) -> list[MountView]:
    """Mounted entries of the pair, soft-deleted ones included: they hold the mount too."""
    query = select(*_VIEW).where(t.mounted == true(), t.host == host, t.backup_target_id == target)
    query = ledger.hinted(query, "idx_mounted_host").order_by(t.id).limit(limit)
    return [view(row) for row in ledger.read(lambda c: list(c.execute(query)))]


def of_job(ledger: Ledger, jobid: int, target: str, limit: int = 100) -> list[MountView]:
    """The job's entries for the target, newest first."""
    query = select(*_VIEW).where(t.jobid == jobid, t.backup_target_id == target)
    query = ledger.hinted(query, "idx_job_target").order_by(t.id.desc()).limit(limit)
    return [view(row) for row in ledger.read(lambda c: list(c.execute(query)))]


def mounted_batch(ledger: Ledger, after: tuple[str, int] | None, size: int) -> list[MountView]:
    """Mounted entries by host and id, the next `size` after the key."""
    walk = Walk("idx_mounted_host", (t.mounted == true(),), (), "host", t.host)
    query = _rows(ledger, walk, after, size, size)
    return [view(row) for row in ledger.read(lambda c: list(c.execute(query)))]


def last_seen(ledger: Ledger, host: str) -> datetime | None:
    """When the host's newest entry was made or changed."""
    query = select(t.created_at, t.updated_at).where(t.host == host)
    query = ledger.hinted(query, "idx_host").order_by(t.id.desc()).limit(1)
    row = ledger.read(lambda c: c.execute(query).first())
    return aware(max(filter(None, row))) if row is not None else None


# -- operations ----------------------------------------------------------------------------------


def operations(
    ledger: Ledger,
    *,
    host: str = "",
    target: str = "",
    job: int | None = None,
    state: str = "",
    before: int | None = None,
    limit: int,
) -> list[OperationView]:
    """Newest first. Empty when this ledger has no operation records."""
    if not ledger.has_operations():
        return []
    query = select(*OPERATION_COLUMNS).order_by(o.id.desc()).limit(limit)
    for column, value in ((o.host, host), (o.backup_target_id, target), (o.state, state)):
        if value:
            query = query.where(column == value)
    if job is not None:
        query = query.where(o.jobid == job)
    if before is not None:
        query = query.where(o.id < before)
    return [
        operation_view(Operation(*row)) for row in ledger.read(lambda c: list(c.execute(query)))
    ]


def unknown_operations(ledger: Ledger, limit: int) -> list[OperationView]:
    """Operations whose outcome is unknown, and those whose client vanished."""
    if not ledger.has_operations():
        return []
    gone = and_(o.state == "in_flight", o.lease_until < ledger.now())
    query = (
        select(*OPERATION_COLUMNS)
        .where((o.state == "unknown") | gone)
        .order_by(o.id.desc())
        .limit(limit)
    )
    rows = ledger.read(lambda c: list(c.execute(query)))
    return [operation_view(Operation(*row)) for row in rows]


def operation_view(found: Operation) -> OperationView:
    created = aware(found.created_at)
    assert created is not None  # noqa: S101 - NOT NULL
    return OperationView(
        id=found.id,
        operation_id=found.operation_id,
        action=found.action,
        backup_target_id=found.backup_target_id,
        host=found.host,
        jobid=found.jobid,
        state=found.state,
        actor=found.actor or "",
        owner=found.owner,
        note=found.note or "",
        request=_document(found.request),
        reply=found.reply or "",
        replies=found.replies,
        settled_by=found.settled_by or "",
        created_at=created,
        reply_at=aware(found.reply_at),
        finished_at=aware(found.finished_at),
    )


def _document(request: str) -> dict[str, Any]:
    try:
        document = json.loads(request)
    except ValueError:  # cut at the column's limit
        return {"request": request[:2000]}
    return document if isinstance(document, dict) else {"request": document}
