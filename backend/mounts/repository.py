"""All SQL of the mounts room on the portal's own database."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from backend.core import clock
from backend.core.audit import AuditEvent
from backend.core.database import ReadSession, WriteSession
from backend.core.views import of_row
from backend.models.connections import Environment
from backend.models.mounts import MountOrphan, MountRequestBox, MountTarget, MountWatch
from backend.mounts.place_schemas import Side
from backend.mounts.schemas import EMPTY, OrphanView, StoryEvent, TargetView, WatchView, reasons_of

DEFAULT_MAX_AGE_HOURS = 24
#: Templates of one environment, all of which a list shows.
MAX_TARGETS = 500


def events_of(session: ReadSession, subjects: Sequence[str], *, limit: int) -> list[StoryEvent]:
    """The audit log's lines about these subjects, newest first."""
    query = (
        select(AuditEvent)
        .where(AuditEvent.subject.in_(subjects))
        .order_by(AuditEvent.number.desc())
        .limit(limit)
    )
    return [
        StoryEvent(row.at, row.actor_name, row.action, row.phase, row.outcome)
        for row in session.scalars(query)
    ]


# -- requests on their way to a job --------------------------------------------------------------


def add_request(
    session: WriteSession, *, environment: str, kind: str, operation_id: str, ciphertext: str
) -> int:
    row = MountRequestBox(
        environment=environment,
        kind=kind,
        operation_id=operation_id,
        ciphertext=ciphertext,
        created_at=clock.now(),
    )
    session.add(row)
    session.flush()
    return row.id


def find_request(session: ReadSession, request_id: int) -> MountRequestBox | None:
    return session.get(MountRequestBox, request_id)


def delete_request(session: WriteSession, request_id: int) -> None:
    session.execute(delete(MountRequestBox).where(MountRequestBox.id == request_id))


def delete_requests_before(session: WriteSession, moment: datetime) -> None:
    session.execute(delete(MountRequestBox).where(MountRequestBox.created_at < moment))


def all_requests_locked(session: WriteSession) -> list[MountRequestBox]:
    return list(session.scalars(select(MountRequestBox).with_for_update()))


# -- templates -----------------------------------------------------------------------------------


def target_view(row: MountTarget) -> TargetView:
    return of_row(TargetView, row, secret_set=bool(row.secret_ref))


def list_targets(session: ReadSession, environment_id: int) -> list[MountTarget]:
    query = (
        select(MountTarget)
        .where(MountTarget.environment_id == environment_id)
        .order_by(MountTarget.target_id)
        .limit(MAX_TARGETS)
    )
    return list(session.scalars(query))


def lock_targets(session: WriteSession, environment_id: int) -> None:
    """Nobody else adds one until this unit of work ends, so that check-then-act is safe."""
    session.scalar(select(Environment.id).where(Environment.id == environment_id).with_for_update())


def count_targets(session: ReadSession, environment_id: int) -> int:
    here = MountTarget.environment_id == environment_id
    return session.scalar(select(func.count()).select_from(MountTarget).where(here)) or 0


def find_target(session: ReadSession, environment_id: int, target_id: str) -> MountTarget | None:
    return session.scalars(
        select(MountTarget).where(
            MountTarget.environment_id == environment_id, MountTarget.target_id == target_id
        )
    ).one_or_none()


def all_targets_locked(session: WriteSession) -> list[MountTarget]:
    return list(session.scalars(select(MountTarget).with_for_update()))


# -- the watch -----------------------------------------------------------------------------------


def environments(session: ReadSession) -> list[Environment]:
    return list(session.scalars(select(Environment).order_by(Environment.name)))


def watch(session: WriteSession, environment_id: int, environment: str) -> MountWatch:
    """The environment's row, made at first use."""
    row = session.get(MountWatch, environment_id, with_for_update=True)
    if row is None:
        row = MountWatch(
            environment_id=environment_id,
            environment=environment,
            max_age_hours=DEFAULT_MAX_AGE_HOURS,
            active=0,
            orphans=0,
            too_old=0,
            unknown=0,
            complete=True,
            problem="",
        )
        session.add(row)
    row.environment = environment
    session.flush()
    return row


def find_watch(session: ReadSession, environment_id: int) -> MountWatch | None:
    return session.get(MountWatch, environment_id)


def list_watches(session: ReadSession, limit: int = 200) -> list[WatchView]:
    rows = session.scalars(select(MountWatch).order_by(MountWatch.environment).limit(limit))
    return [watch_view(row) for row in rows]


def watch_view(row: MountWatch) -> WatchView:
    return of_row(WatchView, row)


def forget_environments(session: WriteSession, kept: Sequence[int]) -> None:
    """Drop what was found in environments that no longer exist."""
    for table in (MountOrphan, MountWatch):
        session.execute(delete(table).where(table.environment_id.not_in(kept)))


def replace_orphans(
    session: WriteSession, environment_id: int, found: Sequence[OrphanView]
) -> None:
    session.execute(delete(MountOrphan).where(MountOrphan.environment_id == environment_id))
    rows = [
        {
            "environment_id": environment_id,
            "ledger_id": item.number,
            "backup_target_id": item.backup_target_id,
            "jobid": item.jobid,
            "host": item.host,
            "created_at": item.created_at,
            "updated_at": item.updated_at,
            "reasons": ",".join(item.evidence),
            "evidence": json.dumps(
                {"id": item.id, "problem": item.problem, "reasons": item.evidence},
                ensure_ascii=False,
            ),
        }
        for item in found
    ]
    for start in range(0, len(rows), 500):
        session.execute(insert(MountOrphan), rows[start : start + 500])


def list_orphans(
    session: ReadSession,
    environment_id: int,
    *,
    host: str,
    target: str,
    job: int | None,
    reason: str,
    after: int,
    limit: int,
) -> list[OrphanView]:
    """Newest entries last seen as orphans first."""
    query = select(MountOrphan).where(MountOrphan.environment_id == environment_id)
    if host == EMPTY:
        query = query.where(MountOrphan.host == "")
    elif host:
        query = query.where(MountOrphan.host.icontains(host, autoescape=True))
    if target:
        query = query.where(MountOrphan.backup_target_id == ("" if target == EMPTY else target))
    if job is not None:
        query = query.where(MountOrphan.jobid == job)
    if reason:
        query = query.where(MountOrphan.reasons.contains(reason, autoescape=True))
    if after:
        query = query.where(MountOrphan.ledger_id < after)
    query = query.order_by(MountOrphan.ledger_id.desc()).limit(limit)
    return [_orphan_view(row) for row in session.scalars(query)]


def count_reasons(
    session: ReadSession, environment_id: int, *, side: Side | None = None, name: str = ""
) -> dict[str, int]:
    """Kind of evidence → orphans; of one host or target only, where `side` says so."""
    query = (
        select(MountOrphan.reasons, func.count())
        .where(MountOrphan.environment_id == environment_id)
        .group_by(MountOrphan.reasons)
    )
    if side is not None:
        query = query.where(_PLACES[side] == ("" if name == EMPTY else name))
    counts: dict[str, int] = {}
    for reasons, count in session.execute(query):
        for reason in reasons.split(","):
            counts[reason] = counts.get(reason, 0) + count
    return counts


def count_orphans(session: ReadSession, environment_id: int, side: Side) -> dict[str, int]:
    """Host or target → orphans of the last scan; a scan is bounded, and so are they."""
    column = _PLACES[side]
    rows = session.execute(
        select(column, func.count())
        .where(MountOrphan.environment_id == environment_id)
        .group_by(column)
    )
    return {row[0]: int(row[1]) for row in rows}


_PLACES = {"host": MountOrphan.host, "target": MountOrphan.backup_target_id}


def _orphan_view(row: MountOrphan) -> OrphanView:
    evidence: dict[str, Any] = json.loads(row.evidence)
    if "reasons" not in evidence:  # of a scan before the ledgers of DMS servers were known
        evidence = {"id": row.ledger_id, "problem": "", "reasons": evidence}
    reasons: dict[str, str] = evidence["reasons"]
    return OrphanView(
        id=evidence["id"],
        backup_target_id=row.backup_target_id,
        jobid=row.jobid,
        host=row.host,
        mounted=True,
        deleted="deleted_mounted" in reasons,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=None,
        version=None,
        problem=evidence["problem"],
        reasons=reasons_of(reasons),
    )
