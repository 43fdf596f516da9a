"""What happens that somebody may want to be told of: written with the very rows that it is about.

A domain names its kinds of events in backend/composition.py; `backend.notifications` sends them.
An event holds a number, a count, a name of something technical and a link; never a personal value,
a secret, or the text of an outside system's error.

- `once`: something happened (a request was decided);
- `raised` and `over`: a condition began, and ended: one event each, however often it is seen.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Index,
    String,
    UniqueConstraint,
    false,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.access import Actor, Permission
from backend.core.alerts import Severity
from backend.core.database import MYSQL_TABLE, Base, BigId, UtcDateTime, WriteSession, database_now

MAX_SUBJECT = 300


@dataclass(frozen=True)
class Kind:
    """name: `domain.what`. title: what a message's first line says. permission: who may be told;
    an event may name another. silent: only for those who ask for it, it does not ring the bell."""

    name: str
    title: str
    permission: Permission
    severity: Severity = "warning"
    silent: bool = False


class Event(Base):
    """One thing to tell. phase: once, raised or over. open_key: while the condition lasts.

    concerns_id: the account it is the matter of; nobody else's. excludes_id: an account that need
    not be told, for it did so itself. began_id: of an "over", the event that it ends.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("open_key", name="uq_events_open_key"),
        Index("ix_events_dispatched", "dispatched", "id"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(60))
    phase: Mapped[str] = mapped_column(String(10))
    open_key: Mapped[str | None] = mapped_column(String(64))
    began_id: Mapped[int | None] = mapped_column(BigInteger)
    severity: Mapped[str] = mapped_column(String(10))
    permission: Mapped[str] = mapped_column(String(60))
    environment_id: Mapped[int] = mapped_column(BigInteger)
    subject: Mapped[str] = mapped_column(String(MAX_SUBJECT))
    page: Mapped[str] = mapped_column(String(40))
    query: Mapped[dict[str, Any]] = mapped_column(JSON)
    concerns_id: Mapped[int | None] = mapped_column(BigInteger)
    excludes_id: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    dispatched: Mapped[bool] = mapped_column(Boolean, server_default=false())


@dataclass(frozen=True)
class About:
    """What an event says. subject: "OpenMetadata of prod", "change 118". page and query: where
    something can be done about it, as in `backend.core.alerts`. permission and severity: where
    they are not those of the kind."""

    subject: str
    page: str = ""
    query: Mapping[str, str] | None = None
    environment_id: int = 0
    concerns_id: int | None = None
    excludes_id: int | None = None
    permission: Permission | None = None
    severity: Severity | None = None


_provided: Callable[[], Mapping[str, Kind]] | None = None


def provide(kinds: Callable[[], Mapping[str, Kind]]) -> None:
    """Where the kinds come from; asked at each use."""
    global _provided
    _provided = kinds


def kinds() -> Mapping[str, Kind]:
    """Every kind by name."""
    if _provided is None:
        raise RuntimeError("no events: call backend.composition.install() first")
    return _provided()


def account_of(actor: Actor) -> int | None:
    """The account that an event of this actor's doing concerns; None for machines."""
    return actor.id if actor.kind == "user" else None


def once(session: WriteSession, kind: str, about: About) -> None:
    """Something happened."""
    session.add(_row(session, kind, "once", about))
    session.flush()


def raised(session: WriteSession, kind: str, cause: str, about: About) -> bool:
    """A condition holds; False when that was known. cause: what tells it from others of its kind
    ("3:openmetadata")."""
    if find_open(session, kind, cause) is not None:
        return False
    row = _row(session, kind, "raised", about)
    row.open_key = key(kind, cause)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False  # another process saw the same in this moment
    return True


def over(session: WriteSession, kind: str, cause: str, subject: str = "") -> bool:
    """The condition holds no more; False when nobody was told that it did. subject: how it ended,
    where the first event's own says too little."""
    began = find_open(session, kind, cause)
    if began is None:
        return False
    end(session, began, subject)
    return True


def end(session: WriteSession, began: Event, subject: str = "") -> None:
    """The event that ends this one."""
    began.open_key = None
    session.add(
        Event(
            kind=began.kind,
            phase="over",
            began_id=began.id,
            severity="info",
            permission=began.permission,
            environment_id=began.environment_id,
            subject=(subject or began.subject)[:MAX_SUBJECT],
            page=began.page,
            query=began.query,
            concerns_id=began.concerns_id,
            excludes_id=began.excludes_id,
            at=database_now(session),
        )
    )
    session.flush()


def list_open(session: WriteSession, names: Sequence[str]) -> list[Event]:
    """Conditions of these kinds that somebody was told of and that last."""
    return list(
        session.scalars(select(Event).where(Event.kind.in_(names), Event.open_key.is_not(None)))
    )


def find_open(session: WriteSession, kind: str, cause: str) -> Event | None:
    return session.scalars(select(Event).where(Event.open_key == key(kind, cause))).one_or_none()


def key(kind: str, cause: str) -> str:
    """What is unique while a condition lasts."""
    return hashlib.sha256(f"{kind}\n{cause}".encode()).hexdigest()


def _row(session: WriteSession, kind: str, phase: str, about: About) -> Event:
    known = kinds()[kind]
    return Event(
        kind=kind,
        phase=phase,
        severity=about.severity or known.severity,
        permission=(about.permission or known.permission).value,
        environment_id=about.environment_id,
        subject=" ".join(about.subject.split())[:MAX_SUBJECT],
        page=about.page,
        query=dict(about.query or {}),
        concerns_id=about.concerns_id,
        excludes_id=about.excludes_id,
        at=database_now(session),
    )
