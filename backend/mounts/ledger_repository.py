"""Every query of the explorer on the ledger's database; all bounded."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, literal, select, text, true

from backend.dms import schema
from backend.dms.ledger import Ledger
from backend.dms.operations import COLUMNS as OPERATION_COLUMNS
from backend.dms.operations import Operation
from backend.mounts import fences
from backend.mounts import walk as walks
from backend.mounts.schemas import Filters, MountView, OperationView
from backend.mounts.walk import Walk

MAX_GROUPS = 30

t = schema.ledger.c
o = schema.operation.c


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


# -- counts --------------------------------------------------------------------------------------


def groups(ledger: Ledger, filters: Filters, sample: int) -> tuple[list[tuple[str, str, int]], int]:
    """(host, target, matching entries) among the newest `sample`, and how many those were."""

    def work(connection: Connection) -> tuple[list[tuple[str, str, int]], int]:
        span = fences.span(connection, filters)
        walk = walks.plan(filters, "newest", timed=span is not None, indexes=ledger.indexes)
        if span is not None:
            walk = replace(
                walk,
                low=fences.lowest(connection, span, filters.since),
                high=fences.highest(connection, span, filters.until),
            )
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
    query = select(*walks.VIEW).where(t.id == entry_id)
    row = ledger.read(lambda c: c.execute(query).first())
    return view(row) if row is not None else None


def holders(ledger: Ledger, target: str, host: str, limit: int = 200) -> list[MountView]:
    """Mounted entries of the pair; for an unmount soft-deleted and other spellings count too."""
    query = select(*walks.VIEW).where(
        t.mounted == true(), t.host == host, t.backup_target_id == target
    )
    query = ledger.hinted(query, "idx_mounted_host").order_by(t.id).limit(limit)
    return [view(row) for row in ledger.read(lambda c: list(c.execute(query)))]


def of_job(ledger: Ledger, jobid: int, target: str, limit: int = 100) -> list[MountView]:
    """The job's entries for the target, newest first."""
    query = select(*walks.VIEW).where(t.jobid == jobid, ledger.exactly(t.backup_target_id, target))
    query = ledger.hinted(query, "idx_job_target").order_by(t.id.desc()).limit(limit)
    return [view(row) for row in ledger.read(lambda c: list(c.execute(query)))]


def mounted_batch(ledger: Ledger, after: tuple[str, int] | None, size: int) -> list[MountView]:
    """Mounted entries by host and id, the next `size` after the key."""
    walk = Walk("idx_mounted_host", (t.mounted == true(),), (), "host", t.host)
    query = walks.matching(ledger, walk, after, size, size)
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
