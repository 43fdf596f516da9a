"""Reading the audit log: filtered pages, verification, export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from backend.accounts.schemas import AuditPage, AuditRow
from backend.core import access, audit, csv_export
from backend.core.access import Actor, Permission
from backend.core.audit import AuditEvent, Verification
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound

MAX_PAGE = 500
MAX_EXPORT = 50_000
HEADERS = ("number", "at", "actor", "kind", "action", "subject", "phase", "outcome", "details")


@dataclass(frozen=True)
class AuditFilter:
    """What to list. action: an exact action or the beginning of one (`accounts:`). subject: a
    part of it. since and until: aware times, until is not included."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Export:
    """text: the CSV. truncated: only the newest `rows` of more are in it."""

    text: str
    rows: int
    truncated: bool


def list_events(
    session: ReadSession,
    actor: Actor,
    *,
    filters: AuditFilter,
    before: int | None = None,
    limit: int = 100,
) -> AuditPage:
    """A page of events, newest first; raises InvalidInput for naive times."""
    access.require(actor, Permission.AUDIT_READ)
    limit = max(1, min(limit, MAX_PAGE))
    rows = list(session.scalars(_query(filters, before).limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit]
    return AuditPage(
        items=[_row(row) for row in rows], next_cursor=rows[-1].number if more else None
    )


def get(session: ReadSession, actor: Actor, *, number: int) -> AuditRow:
    """One event; raises NotFound."""
    access.require(actor, Permission.AUDIT_READ)
    row = session.scalars(select(AuditEvent).where(AuditEvent.number == number)).one_or_none()
    if row is None:
        raise NotFound(f"There is no event {number} in the audit log.")
    return _row(row)


def verify(
    session: ReadSession,
    actor: Actor,
    *,
    full: bool = False,
    against: Mapping[str, Any] | None = None,
) -> Verification:
    """Walk the chain; names the first broken row, and a cut tail. See `audit.verify`."""
    access.require(actor, Permission.AUDIT_READ)
    return audit.verify(session, full=full, against=against)


def digest(session: WriteSession, actor: Actor) -> dict[str, Any]:
    """A signed digest to keep elsewhere; making one is audited."""
    access.require(actor, Permission.AUDIT_EXPORT)
    found = audit.digest(session)
    audit.record(
        session,
        actor,
        Permission.AUDIT_EXPORT.value,
        subject="digest of the audit log",
        outcome="succeeded",
        details={"rows": len(found["rows"])},
    )
    return found


def accept(session: WriteSession, actor: Actor) -> None:
    """Let the checkpoint vouch for the log as it is now; audited, since it ends an alarm."""
    access.require(actor, Permission.AUDIT_EXPORT)
    before = audit.verify(session)
    audit.rewind_checkpoint(session)
    audit.record(
        session,
        actor,
        "audit:checkpoint:accept",
        subject="checkpoint of the audit log",
        outcome="succeeded",
        details={"problem": before.problem},
    )


def export_csv(session: WriteSession, actor: Actor, *, filters: AuditFilter) -> Export:
    """The newest matching rows, at most 50,000, as CSV. The export itself is audited."""
    access.require(actor, Permission.AUDIT_EXPORT)
    found = list(session.scalars(_query(filters, None).limit(MAX_EXPORT + 1)))
    rows = [_row(row) for row in found[:MAX_EXPORT]]
    text = csv_export.write(
        HEADERS,
        (
            (
                row.number,
                row.at,
                row.actor_name,
                row.actor_kind,
                row.action,
                row.subject,
                row.phase,
                row.outcome,
                json.dumps(row.details, ensure_ascii=False, sort_keys=True) if row.details else "",
            )
            for row in rows
        ),
    )
    audit.record(
        session,
        actor,
        Permission.AUDIT_EXPORT.value,
        subject="audit log",
        outcome="succeeded",
        details={"rows": len(rows)},
    )
    return Export(text=text, rows=len(rows), truncated=len(found) > MAX_EXPORT)


def _query(filters: AuditFilter, before: int | None) -> Select[tuple[AuditEvent]]:
    query = select(AuditEvent).order_by(AuditEvent.number.desc())
    if before is not None:
        query = query.where(AuditEvent.number < before)
    if filters.actor:
        query = query.where(AuditEvent.actor_name == filters.actor)
    if filters.action:
        query = query.where(AuditEvent.action.startswith(filters.action, autoescape=True))
    if filters.subject:
        query = query.where(AuditEvent.subject.contains(filters.subject, autoescape=True))
    if filters.outcome:
        query = query.where(AuditEvent.outcome == filters.outcome)
    for moment in (filters.since, filters.until):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput("The times of an audit filter need a time zone.")
    if filters.since is not None:
        query = query.where(AuditEvent.at >= filters.since)
    if filters.until is not None:
        query = query.where(AuditEvent.at < filters.until)
    return query


def _row(row: AuditEvent) -> AuditRow:
    return AuditRow(
        number=row.number,
        at=row.at,
        actor_name=row.actor_name,
        actor_kind=row.actor_kind,
        action=row.action,
        subject=row.subject,
        phase=row.phase,
        outcome=row.outcome,
        details=_details(row.details),
        hash=row.hash,
    )


def _details(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        # A row whose details were tampered with must still be listed; verify names it.
        return {"unreadable": True}
    return value if isinstance(value, dict) else {"value": value}
