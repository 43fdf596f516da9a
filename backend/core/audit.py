"""The audit log: append-only rows in a hash chain, intent before and outcome after.

Each row's hash is HMAC-SHA256(audit key, previous hash + canonical row). The audit key is
encrypted in the database, so that somebody with the database alone cannot forge a row. The head
(count and last hash, itself authenticated) shows a cut tail; a checkpoint file in the data folder
shows a tail cut together with its head. `record` writes in the same transaction as the action's
own row and holds the head's lock until commit, so rows of many processes form one chain.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import BigInteger, Index, Integer, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from backend.core import clock, secret_store
from backend.core.access import Actor
from backend.core.database import (
    MYSQL_TABLE,
    Base,
    BigId,
    ReadSession,
    UtcDateTime,
    WriteSession,
    after_commit,
)
from backend.core.log import get_logger, mask
from backend.core.settings import get_settings

log = get_logger(__name__)

Phase = Literal["intent", "outcome", "event"]
GENESIS = "0" * 64
CHECKPOINT_FILE = "audit.checkpoint"
MAX_DETAILS = 8_000


class AuditEvent(Base):
    """One row of the chain."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_at", "at"),
        Index("ix_audit_events_action", "action"),
        Index("ix_audit_events_actor", "actor_name"),
        Index("ix_audit_events_subject", "subject"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(255))
    actor_kind: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(500))
    phase: Mapped[str] = mapped_column(String(10))
    outcome: Mapped[str] = mapped_column(String(40))
    details: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The chain's end: how many rows there are and the last hash, authenticated."""

    __tablename__ = "audit_head"
    __table_args__ = (MYSQL_TABLE,)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True)
class Verification:
    """events: rows looked at. first_broken: number of the first row that does not fit, or None."""

    ok: bool
    events: int
    first_broken: int | None
    problem: str = ""


def record(
    session: WriteSession,
    actor: Actor,
    action: str,
    *,
    subject: str,
    phase: Phase = "event",
    outcome: str = "",
    details: Mapping[str, Any] | None = None,
) -> int:
    """Append one row and return its number.

    action: `area:thing:verb`. details: small JSON without personal values; secrets are masked.
    """
    key = _key(session)
    head = session.scalars(
        select(AuditHead)
        .where(AuditHead.id == 1)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    row = AuditEvent(
        number=head.count + 1,
        at=clock.now(),
        actor_id=actor.id,
        actor_name=actor.name[:255],
        actor_kind=actor.kind,
        action=action[:80],
        subject=str(mask(subject))[:500],
        phase=phase,
        outcome=str(mask(outcome))[:40],
        details=_details(details),
        previous_hash=head.hash,
        hash="",
    )
    row.hash = _row_hash(key, row)
    session.add(row)
    head.count, head.hash = row.number, row.hash
    head.mac = _head_mac(key, row.number, row.hash)
    session.flush()
    _checkpoint_after_commit(session, row.number, row.hash)
    return row.number


def verify(session: ReadSession) -> Verification:
    """Walk the whole chain; names the first broken row and a cut tail.

    Others may write meanwhile, and on the servers each statement sees what is committed by then.
    So the witnesses are read first: what they vouch for is there when the rows are read. Give a
    fresh session: SQLite shows one moment to all of it, and the checkpoint must not be newer.
    """
    checkpoint = _read_checkpoint()
    key, head = _key(session), _head(session)
    previous, seen, at_head = GENESIS, 0, GENESIS
    rows = session.scalars(
        select(AuditEvent).order_by(AuditEvent.number).execution_options(yield_per=1000)
    )
    for row in rows:
        seen += 1
        if row.number != seen:
            return Verification(False, seen, seen, f"row {seen} is missing")
        if row.previous_hash != previous or not hmac.compare_digest(row.hash, _row_hash(key, row)):
            return Verification(False, seen, row.number, f"row {row.number} was changed")
        if checkpoint and row.number == checkpoint[0] and row.hash != checkpoint[1]:
            return Verification(False, seen, row.number, f"row {row.number} was replaced")
        previous = row.hash
        if head is not None and row.number == head.count:
            at_head = row.hash
        session.expunge(row)
    return _verify_end(session, key, head, seen, at_head, checkpoint)


def _verify_end(
    session: ReadSession,
    key: bytes,
    head: "_Head | None",
    seen: int,
    at_head: str,
    checkpoint: tuple[int, str] | None,
) -> Verification:
    """at_head: the hash of the row that the head names."""
    if head is None:
        return Verification(False, seen, seen + 1, "the head row is missing")
    if head.count and not hmac.compare_digest(head.mac, _head_mac(key, head.count, head.hash)):
        return Verification(False, seen, seen + 1, "the head row was changed")
    known = max(head.count, checkpoint[0] if checkpoint else 0)
    if seen < known:
        return Verification(
            False, seen, seen + 1, f"the tail was cut: {known} rows were written, {seen} are left"
        )
    fits = at_head == head.hash
    if seen > head.count:
        # Written while this looked, then the head has moved on too; or an old head was put back.
        now = _head(session)
        fits = fits and now is not None and now.count >= seen
    if not fits:
        return Verification(False, seen, seen or 1, "the last row does not match the head")
    return Verification(True, seen, None)


@dataclass(frozen=True)
class _Head:
    count: int
    hash: str
    mac: str


def _head(session: ReadSession) -> _Head | None:
    row = session.execute(
        select(AuditHead.count, AuditHead.hash, AuditHead.mac).where(AuditHead.id == 1)
    ).one_or_none()
    return _Head(*row) if row is not None else None


def _key(session: ReadSession) -> bytes:
    cached = session.info.get("audit_key")
    if cached is None:
        cached = secret_store.read(session, secret_store.get_vault(), secret_store.AUDIT_KEY)
        session.info["audit_key"] = cached
    return bytes(cached)


def _details(details: Mapping[str, Any] | None) -> str:
    text = json.dumps(mask(dict(details or {})), sort_keys=True, ensure_ascii=False, default=str)
    if len(text) > MAX_DETAILS:
        return json.dumps({"truncated": True, "start": text[: MAX_DETAILS // 2]})
    return text


def _row_hash(key: bytes, row: AuditEvent) -> str:
    at = row.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    canonical = json.dumps(
        [
            row.previous_hash,
            row.number,
            at,
            row.actor_id,
            row.actor_name,
            row.actor_kind,
            row.action,
            row.subject,
            row.phase,
            row.outcome,
            row.details,
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


def _head_mac(key: bytes, count: int, last_hash: str) -> str:
    return hmac.new(key, f"head:{count}:{last_hash}".encode(), hashlib.sha256).hexdigest()


def _checkpoint_after_commit(session: WriteSession, number: int, row_hash: str) -> None:
    pending = session.info.get("audit_checkpoint")
    session.info["audit_checkpoint"] = (number, row_hash)
    if pending is None:
        after_commit(session, lambda: _write_checkpoint(*session.info["audit_checkpoint"]))


def checkpoint_path() -> Path:
    """The witness outside the database."""
    return get_settings().data_dir / CHECKPOINT_FILE


def rewind_checkpoint(session: ReadSession) -> None:
    """After a restore: the checkpoint vouches for the end that the chain has now.

    The rows written since the backup are gone on purpose; the caller keeps the old checkpoint and
    records the restore.
    """
    checkpoint_path().unlink(missing_ok=True)
    head = session.scalars(select(AuditHead).where(AuditHead.id == 1)).one_or_none()
    if head is not None and head.count:
        _write_checkpoint(head.count, head.hash)


def _write_checkpoint(number: int, row_hash: str) -> None:
    path = checkpoint_path()
    known = _read_checkpoint()
    if known and known[0] >= number:
        return
    try:
        replacement = path.with_name(f"{path.name}.{row_hash[:8]}")
        replacement.write_text(f"{number} {row_hash}\n")
        replacement.replace(path)
    except OSError as exc:
        # The chain itself is whole; only its witness outside the database is late.
        log.warning("The audit checkpoint could not be written.", error=str(exc))


def _read_checkpoint() -> tuple[int, str] | None:
    try:
        number, row_hash = checkpoint_path().read_text().split()
    except (OSError, ValueError):
        return None
    return int(number), row_hash
