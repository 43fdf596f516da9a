"""Old rows of the audit log in signed files; the log's chain goes on where the newest file ends.

Only rows that fit the chain leave. Each file is the chain's next piece: `verify` here shows that it
was not changed, and `audit.verify` that the database's rows follow on the newest one.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import delete, func, select

from backend.core import archive, audit, clock
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent, AuditHead
from backend.core.audit_base import AuditArchive, archive_mac, archived
from backend.core.database import Database, ReadSession, Turns
from backend.core.errors import InvalidInput, PortalError
from backend.core.retention import Step

TABLE = AuditEvent.__tablename__
#: Rows of one file, and of one transaction.
ROWS = 2_000


class LogBroken(PortalError):
    """The rows that should leave do not fit the chain: somebody has to look into it first."""


@dataclass(frozen=True)
class Piece:
    """What a file was found to hold: whole, rows of which table, their first and last number."""

    file: str
    table: str
    first: int
    last: int


def began_at(session: ReadSession) -> datetime | None:
    """When the oldest event of the log, or its first archive, was written."""
    first = session.scalar(select(func.min(AuditArchive.archived_at)))
    return first or session.scalar(select(func.min(AuditEvent.at)))


class Events:
    """The log's old rows, as `retention.Leaver`; its newest row always stays."""

    def due(self, session: ReadSession, before: datetime) -> int:
        """From the log's beginning up to the first event that stays."""
        head = audit.head_of(session)
        stays = select(func.min(AuditEvent.number)).where(AuditEvent.at >= before)
        first = session.scalar(select(func.min(AuditEvent.number)))
        if head is None or first is None:
            return 0
        return max(0, min(session.scalar(stays) or head.count, head.count) - first)

    def leave(self, database: Database, before: datetime, step: Step) -> int:
        """Move them into files. Raises LogBroken."""
        moved, turns = 0, Turns(database)
        head = database.ask(audit.head_of)
        while True:
            with database.read() as session:
                key = audit.key_of(session)
                base = archived(session, key)
                rows = _oldest(session, before, head.count if head else 0)
            if base is None:
                raise LogBroken("The record of the audit log's archives was changed by hand.")
            if not rows:
                return moved
            problem = _problem(key, base, rows)
            if problem:
                raise LogBroken(f"The audit log is not archived, it was changed: {problem}.")
            moved += _move(turns, key, base, rows)
            step(moved)


def _oldest(session: ReadSession, before: datetime, newest: int) -> list[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.number < newest)
    rows: list[AuditEvent] = []
    for row in session.scalars(query.order_by(AuditEvent.number).limit(ROWS)):
        if row.at >= before:
            break
        rows.append(row)
    return rows


def _problem(key: bytes, base: tuple[int, str], rows: Sequence[Any]) -> str:
    number, previous = base
    for row in rows:
        number += 1
        if row.number != number:
            return f"row {number} is missing"
        genuine = audit.row_hash_of(key, row)
        if row.previous_hash != previous or not hmac.compare_digest(row.hash, genuine):
            return f"row {number} does not fit"
        previous = row.hash
    return ""


def _move(turns: Turns, key: bytes, base: tuple[int, str], rows: Sequence[AuditEvent]) -> int:
    """Write the file, then let the rows go; 0 when another process was first."""
    first, last = rows[0], rows[-1]
    columns = [column.name for column in AuditEvent.__table__.columns if column.name != "id"]
    documents = [{name: getattr(row, name) for name in columns} for row in rows]
    path = archive.write(key, TABLE, (first.number, last.number), documents)
    details = {"first": first.number, "last": last.number, "file": path.name}
    with turns.write() as session:
        session.scalars(select(AuditHead).where(AuditHead.id == 1).with_for_update()).one()
        if archived(session, key) != base:
            return 0
        session.add(
            AuditArchive(
                last=last.number,
                last_hash=last.hash,
                mac=archive_mac(key, last.number, last.hash),
                file=path.name,
                archived_at=clock.now(),
            )
        )
        session.execute(
            delete(AuditEvent).where(AuditEvent.number <= last.number),
            execution_options={"synchronize_session": False},
        )
        audit.done(
            session, SYSTEM, "audit:archive", f"events {first.number} to {last.number}", **details
        )
    return len(rows)


def verify(session: ReadSession, path: Path) -> Piece:
    """Signature, and of the log's events the chain, too. Raises InvalidInput when the file was
    changed or is none of this portal's.
    """
    found = archive.read(audit.key_of(session), path)
    if found.table == TABLE:
        _rows(session, path, found)
    return Piece(path.name, found.table, found.first, found.last)


def differing(session: ReadSession, kept: Mapping[int, str]) -> tuple[int, str] | None:
    """The first row that a digest names and the log's archives do not hold so, and why."""
    before, key = 0, audit.key_of(session)
    for record in session.scalars(select(AuditArchive).order_by(AuditArchive.last)).all():
        named = sorted(number for number in kept if before < number <= record.last)
        before = record.last
        if not named:
            continue
        path = archive.folder() / Path(record.file).name
        try:
            held = {row.number: row.hash for row in _rows(session, path, archive.read(key, path))}
        except InvalidInput as exc:
            return named[0], f"row {named[0]} is in an archive that cannot be compared: {exc}"
        for number in named:
            if held.get(number) != kept[number]:
                return number, f"row {number} was replaced before it left for {path.name}"
    return None


def _rows(session: ReadSession, path: Path, found: archive.Archive) -> list[SimpleNamespace]:
    """The events of the file, whose chain is whole. Raises InvalidInput."""
    key = audit.key_of(session)
    if found.table != TABLE or not found.rows:
        raise InvalidInput(f"{path} holds no events of the audit log but rows of {found.table}.")
    rows = [SimpleNamespace(**{**row, "at": clock.parse(row["at"])}) for row in found.rows]
    problem = _problem(key, (found.first - 1, rows[0].previous_hash), rows)
    known = session.get(AuditArchive, found.last)
    if not problem and known is not None and known.last_hash != rows[-1].hash:
        problem = "it is not the file that the log went on from"
    if problem:
        raise InvalidInput(f"{path} was changed: {problem}.")
    return rows
