"""Reading the audit log: filtered pages, verification, export."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from backend.accounts import audit_words
from backend.accounts.schemas import AuditPage, AuditRow
from backend.core import (
    access,
    audit,
    audit_archive,
    audit_digest,
    choices,
    clock,
    csv_export,
    newest,
)
from backend.core.access import Actor, Permission
from backend.core.audit import AuditEvent, Verification
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound
from backend.core.views import of_row

MAX_PAGE = 500
MAX_EXPORT = 50_000
#: How far the clocks of the machines that write may be apart.
SKEW = timedelta(minutes=5)
#: No event has this number.
AFTER_ALL = 2**63 - 1
HEADERS = (
    *("number", "at", "actor", "kind", "sentence"),
    *("action", "subject", "phase", "outcome", "details"),
)


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
    """A page of events, newest first; raises InvalidInput for naive times, UnknownChoice for an
    outcome that no event can have and for what no action begins with.

    A search for what few events have may give a short or empty page with a `next_cursor`.
    """
    _require(actor, Permission.AUDIT_READ)
    found = _page(session, filters, before, max(1, min(limit, MAX_PAGE)))
    return AuditPage(items=[_row(row) for row in found.rows], next_cursor=found.next_cursor)


def _require(actor: Actor, permission: Permission) -> None:
    """As `access.require`, and nobody who is limited to some environments: an event names none, so
    that it cannot be told which are theirs."""
    access.require(actor, permission)
    access.require_everywhere("The audit log")


def get(session: ReadSession, actor: Actor, *, number: int) -> AuditRow:
    """One event; raises NotFound."""
    _require(actor, Permission.AUDIT_READ)
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
    """Walk the chain; names the first broken row, and a cut tail. See `audit.verify`.

    against: a digest that was kept elsewhere; what it names in archives is looked up there."""
    access.require(actor, Permission.AUDIT_READ)
    kept = audit_digest.kept(session, against) if against is not None else None
    found = audit.verify(session, full=full, kept=kept)
    if found.ok and kept and (other := audit_archive.differing(session, kept)):
        return Verification(False, found.events, *other)
    return found


def verify_archive(session: ReadSession, actor: Actor, *, path: Path) -> audit_archive.Piece:
    """Check a file of rows that left; raises InvalidInput with what is wrong."""
    access.require(actor, Permission.AUDIT_READ)
    return audit_archive.verify(session, path)


def digest(session: WriteSession, actor: Actor) -> dict[str, Any]:
    """A signed digest to keep elsewhere; making one is audited."""
    _require(actor, Permission.AUDIT_EXPORT)
    found = audit_digest.digest(session)
    audit.done(
        session,
        actor,
        Permission.AUDIT_EXPORT.value,
        "digest of the audit log",
        rows=len(found["rows"]),
    )
    return found


def accept(session: WriteSession, actor: Actor) -> None:
    """Let the checkpoint vouch for the log as it is now; audited, since it ends an alarm."""
    access.require(actor, Permission.AUDIT_EXPORT)
    before = audit.verify(session)
    audit.rewind_checkpoint(session)
    audit.done(
        session,
        actor,
        "audit:checkpoint:accept",
        "checkpoint of the audit log",
        problem=before.problem,
    )


def export_csv(session: WriteSession, actor: Actor, *, filters: AuditFilter) -> Export:
    """The newest matching rows, at most 50,000, as CSV. The export itself is audited."""
    _require(actor, Permission.AUDIT_EXPORT)
    found = list(_newest(session, filters, MAX_EXPORT + 1))
    rows = [_row(row) for row in found[:MAX_EXPORT]]
    text = csv_export.write(
        HEADERS,
        (
            (
                row.number,
                row.at,
                row.actor_name,
                row.actor_kind,
                row.sentence,
                row.action,
                row.subject,
                row.phase,
                row.outcome,
                json.dumps(row.details, ensure_ascii=False, sort_keys=True) if row.details else "",
            )
            for row in rows
        ),
    )
    audit.done(session, actor, Permission.AUDIT_EXPORT.value, "audit log", rows=len(rows))
    return Export(text=text, rows=len(rows), truncated=len(found) > MAX_EXPORT)


def _newest(session: ReadSession, filters: AuditFilter, most: int) -> Iterator[AuditEvent]:
    """The newest matching events of the whole log, at most so many."""
    before: int | None = None
    while most > 0:
        found = _page(session, filters, before, min(most, MAX_PAGE))
        yield from found.rows
        most, before = most - len(found.rows), found.next_cursor
        if before is None:
            return


def _page(
    session: ReadSession, filters: AuditFilter, before: int | None, limit: int
) -> newest.Found[AuditEvent]:
    for moment in (filters.since, filters.until):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput("The times of an audit filter need a time zone.")
    exact: dict[InstrumentedAttribute[Any], list[str]] = {}
    if filters.actor:
        exact[AuditEvent.actor_name] = [filters.actor]
    if filters.outcome:
        if filters.outcome not in audit_words.OUTCOMES:
            recorded = newest.distinct(session, AuditEvent.outcome)
            known = sorted({*audit_words.OUTCOMES, *recorded} - {""})
            choices.check("outcome", filters.outcome, known)
        exact[AuditEvent.outcome] = [filters.outcome]
    if filters.action:
        known = newest.distinct(session, AuditEvent.action)
        exact[AuditEvent.action] = [name for name in known if name.startswith(filters.action)]
        if not exact[AuditEvent.action]:
            if known_beginnings := audit_words.beginnings(filters.action, known):
                choices.check("beginning of an action", filters.action, known_beginnings)
            return newest.Found([], None)
    rest = []
    if filters.subject:
        rest.append(AuditEvent.subject.contains(filters.subject, autoescape=True))
    bounds, nearly = [before] if before is not None else [], []
    since = None
    if filters.since is not None:
        begin = clock.in_utc(filters.since)
        since = _number_at(session, begin - SKEW)
        nearly.append(AuditEvent.at >= begin)
    if filters.until is not None:
        end = clock.in_utc(filters.until)
        bounds.append(_number_at(session, end + SKEW))
        nearly.append(AuditEvent.at < end)
    return newest.page(
        session,
        select(AuditEvent),
        AuditEvent.number,
        exact=exact,
        rest=rest,
        nearly=nearly,
        limit=limit,
        before=min(bounds, default=None),
        since=since,
    )


def _number_at(session: ReadSession, moment: datetime) -> int:
    """The number of the first event from this time on."""
    query = select(AuditEvent.number).where(AuditEvent.at >= moment).order_by(AuditEvent.at)
    found = session.scalar(query.limit(1))
    return found if found is not None else AFTER_ALL


def _row(row: AuditEvent) -> AuditRow:
    sentence = audit_words.sentence(row.action, row.subject, row.phase, row.outcome)
    return of_row(AuditRow, row, sentence=sentence, details=_details(row.details))


def _details(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        # A row whose details were tampered with must still be listed; verify names it.
        return {"unreadable": True}
    return value if isinstance(value, dict) else {"value": value}
