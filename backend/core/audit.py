"""The audit log: append-only rows in a hash chain, intent before and outcome after.

Each row's hash is HMAC-SHA256(audit key, previous hash + canonical row). The audit key is
encrypted in the database, so that somebody with the database alone cannot forge a row. The head
(count and last hash, itself authenticated) shows a cut tail; a checkpoint file in the data folder,
authenticated too, shows a tail cut together with its head and an older database put back: it only
moves on while the row it names is still there, and is never made anew beside rows that exist.
Digests that are kept elsewhere (`audit_digest`) show both put back together.
`record` holds the head's lock until its commit, so rows of many processes form one chain.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import BigInteger, Index, Integer, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from backend.core import clock, reasons, secret_store, stopping
from backend.core.access import Actor
from backend.core.audit_base import archived
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
CHECKPOINT_FILE = "audit.checkpoint"
VERIFIED_FILE = "audit.verified"
MAX_DETAILS = 8_000
#: Up to so many rows a verification walks all of them, in about a second.
ALWAYS_WHOLE = 20_000


class AuditEvent(Base):
    """One row of the chain."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_at", "at", "number"),
        Index("ix_audit_events_action", "action", "number"),
        Index("ix_audit_events_actor", "actor_name", "number"),
        Index("ix_audit_events_outcome", "outcome", "number"),
        Index("ix_audit_events_actor_outcome", "actor_name", "outcome", "number"),
        Index("ix_audit_events_action_outcome", "action", "outcome", "number"),
        Index("ix_audit_events_actor_action", "actor_name", "action", "number"),
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

    action: `area:thing:verb`. details: small JSON without personal values; secrets are masked; with
    the reason that the face was told, unless they name one of their own.
    """
    key = key_of(session)
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
        details=_details(_with_reason(details)),
        previous_hash=head.hash,
        hash="",
    )
    row.hash = row_hash_of(key, row)
    session.add(row)
    head.count, head.hash = row.number, row.hash
    head.mac = _head_mac(key, row.number, row.hash)
    session.flush()
    _checkpoint_after_commit(session, row.number, row.hash)
    return row.number


def done(session: WriteSession, actor: Actor, action: str, subject: str, /, **details: Any) -> int:
    """`record` of what succeeded at once, the usual case."""
    return record(
        session, actor, action, subject=subject, outcome="succeeded", details=details or None
    )


def _with_reason(details: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    reason = reasons.current()
    return {"reason": reason, **(details or {})} if reason else details


def verify(
    session: ReadSession, *, full: bool = True, kept: Mapping[int, str] | None = None
) -> Verification:
    """Walk the chain; names the first broken row, a cut tail and a missing checkpoint.

    full: False starts a long chain at the row up to which it was last found whole.
    kept: hashes of rows by their numbers, from a digest that was kept elsewhere.
    Others may write meanwhile, and on the servers each statement sees what is committed by then.
    So the witnesses are read first: what they vouch for is there when the rows are read. Give a
    fresh session: SQLite shows one moment to all of it, and the checkpoint must not be newer.
    """
    text = _text_of(CHECKPOINT_FILE)
    key = key_of(session)
    checkpoint, said = _witness(key, CHECKPOINT_FILE, text)
    kept = dict(kept or {})
    head = head_of(session)
    start = archived(session, key)
    if start is None:
        return Verification(False, 0, 1, "the record of the archives was changed")
    if not full and not kept and head is not None and head.count - start[0] > ALWAYS_WHOLE:
        start = _last_good(session, key) or start
    (begun, previous), (seen, at_head) = start, start
    if checkpoint:
        kept[checkpoint[0]] = checkpoint[1]
    for row in _behind(session, seen):
        seen += 1
        _may_go_on(seen, head.count if head else 0)
        if row.number != seen:
            moved = archived(session, key)
            if moved and moved[0] > begun:  # its beginning left for an archive meanwhile
                return verify(session, full=full, kept=kept)
            return Verification(False, seen, seen, f"row {seen} is missing")
        if wrong := _wrong(key, row, previous, kept):
            return Verification(False, seen, row.number, f"row {row.number} was {wrong}")
        previous = row.hash
        if head is not None and row.number == head.count:
            at_head = row.hash
        session.expunge(row)
    found = _verify_end(session, key, head, seen, at_head, max(kept, default=0))
    if found.ok and seen and checkpoint is None:
        return Verification(False, seen, seen, said)
    if found.ok and seen:
        _store_witness(key, VERIFIED_FILE, seen, previous)
    return found


def _behind(session: ReadSession, number: int) -> Iterable[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.number > number).order_by(AuditEvent.number)
    return session.scalars(query.execution_options(yield_per=1000))


def _may_go_on(seen: int, rows: int) -> None:
    """Says how far the walk of so many rows is, and ends it where somebody stopped it."""
    if seen % 1000 == 0:
        stopping.step(f"row {seen:,}", seen / rows if rows else 0.0)


def _wrong(key: bytes, row: AuditEvent, previous: str, kept: Mapping[int, str]) -> str:
    """What was done to a row that does not follow from the one before; "" for nothing."""
    whole = row.previous_hash == previous and hmac.compare_digest(row.hash, row_hash_of(key, row))
    if not whole:
        return "changed"
    return "replaced" if kept.get(row.number, row.hash) != row.hash else ""


def _last_good(session: ReadSession, key: bytes) -> tuple[int, str] | None:
    """The row up to which the chain was last found whole, while it is still there."""
    found, _ = _witness(key, VERIFIED_FILE, _text_of(VERIFIED_FILE))
    return found if found and _hash_at(session, found[0]) == found[1] else None


def _hash_at(session: ReadSession, number: int) -> str | None:
    return session.scalar(select(AuditEvent.hash).where(AuditEvent.number == number))


def _verify_end(
    session: ReadSession,
    key: bytes,
    head: "Head | None",
    seen: int,
    at_head: str,
    witnessed: int,
) -> Verification:
    """at_head: the hash of the row that the head names. witnessed: the newest row that a
    checkpoint or digest saw."""
    if head is None:
        return Verification(False, seen, seen + 1, "the head row is missing")
    if head.count and not hmac.compare_digest(head.mac, _head_mac(key, head.count, head.hash)):
        return Verification(False, seen, seen + 1, "the head row was changed")
    known = max(head.count, witnessed)
    if seen < known:
        return Verification(
            False, seen, seen + 1, f"the tail was cut: {known} rows were written, {seen} are left"
        )
    fits = at_head == head.hash
    if seen > head.count:
        # Written while this looked, then the head has moved on too; or an old head was put back.
        now = head_of(session)
        fits = fits and now is not None and now.count >= seen
    if not fits:
        return Verification(False, seen, seen or 1, "the last row does not match the head")
    return Verification(True, seen, None)


@dataclass(frozen=True)
class Head:
    count: int
    hash: str
    mac: str


def head_of(session: ReadSession) -> Head | None:
    row = session.execute(
        select(AuditHead.count, AuditHead.hash, AuditHead.mac).where(AuditHead.id == 1)
    ).one_or_none()
    return Head(*row) if row is not None else None


def key_of(session: ReadSession) -> bytes:
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


def row_hash_of(key: bytes, row: AuditEvent) -> str:
    at = row.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    said = [getattr(row, name) for name in _HASHED]
    values = [row.previous_hash, row.number, at, *said, row.details]
    canonical = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


#: What of a row its hash is of, in this order, beside its place and details.
_HASHED = ("actor_id", "actor_name", "actor_kind", "action", "subject", "phase", "outcome")


def _head_mac(key: bytes, count: int, last_hash: str) -> str:
    return hmac.new(key, f"head:{count}:{last_hash}".encode(), hashlib.sha256).hexdigest()


def _checkpoint_after_commit(session: WriteSession, number: int, row_hash: str) -> None:
    pending = session.info.get("audit_checkpoint")
    session.info["audit_checkpoint"] = (number, row_hash)
    if pending is not None:
        return
    key = key_of(session)
    known, said = _witness(key, CHECKPOINT_FILE, _text_of(CHECKPOINT_FILE))
    if known is None and number > 1:
        log.error("The audit checkpoint stays as it is.", problem=said)
    elif known and (known[0] >= number or not _still_there(session, key, known)):
        log.error("The audit log is not the one that the checkpoint saw.", row=known[0])
    else:
        after_commit(session, lambda: _move(key, *session.info["audit_checkpoint"]))


def leave_checkpoint(session: WriteSession) -> None:
    """What this unit of work records moves none; a restore calls `rewind_checkpoint` at its end."""
    session.info["audit_checkpoint"] = (0, "")


def _still_there(session: ReadSession, key: bytes, known: tuple[int, str]) -> bool:
    """Whether the log has the row that a witness saw, or had it before it was archived."""
    found = _hash_at(session, known[0])
    if found is not None:
        return found == known[1]
    base = archived(session, key)
    return base is not None and (known[0] < base[0] or known == base)


def checkpoint_path() -> Path:
    """The witness outside the database."""
    return get_settings().data_dir / CHECKPOINT_FILE


def rewind_checkpoint(session: ReadSession) -> None:
    """The checkpoint vouches for the end that the chain has now: after a restore, on a machine
    that had none, and where a person has looked into what `verify` said; the caller records it."""
    for name in (CHECKPOINT_FILE, VERIFIED_FILE):
        checkpoint_path().with_name(name).unlink(missing_ok=True)
    head = session.scalars(select(AuditHead).where(AuditHead.id == 1)).one_or_none()
    if head is not None and head.count:
        _store_witness(key_of(session), CHECKPOINT_FILE, head.count, head.hash)


def _move(key: bytes, number: int, row_hash: str) -> None:
    known, _ = _witness(key, CHECKPOINT_FILE, _text_of(CHECKPOINT_FILE))
    if known is None or known[0] < number:
        _store_witness(key, CHECKPOINT_FILE, number, row_hash)


def _store_witness(key: bytes, name: str, number: int, row_hash: str) -> None:
    path = checkpoint_path().with_name(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # after a restore elsewhere
        replacement = path.with_name(f"{path.name}.{row_hash[:8]}")
        replacement.write_text(f"{number} {row_hash} {_witness_mac(key, name, number, row_hash)}\n")
        replacement.replace(path)
    except OSError as exc:  # the chain is whole; only its witness outside the database is late
        log.warning("The audit checkpoint could not be written.", error=str(exc))


def _text_of(name: str) -> str | None:
    """What the file says, None when it cannot be read."""
    try:
        return checkpoint_path().with_name(name).read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _witness(key: bytes, name: str, text: str | None) -> tuple[tuple[int, str] | None, str]:
    """(row number, hash) that the file vouches for, else None and why it vouches for nothing."""
    path = checkpoint_path().with_name(name)
    accept = "compare with a digest that was kept elsewhere, then run: audit accept"
    if text is None:
        return (
            None,
            f"the checkpoint {path} is missing: a cut or older log would not show; {accept}",
        )
    try:
        number, row_hash, mac = text.split()
        genuine = _witness_mac(key, name, int(number), row_hash)
    except ValueError:
        return None, f"the checkpoint {path} is damaged or of an older portal; {accept}"
    if not hmac.compare_digest(mac, genuine):
        return None, f"the checkpoint {path} was changed; {accept}"
    return (int(number), row_hash), ""


def _witness_mac(key: bytes, name: str, number: int, row_hash: str) -> str:
    return hmac.new(key, f"{name}:{number}:{row_hash}".encode(), hashlib.sha256).hexdigest()
