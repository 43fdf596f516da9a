"""Change control: the policies of environments, change requests, and every step of a request."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.crypto import SEALED
from backend.core.database import MYSQL_TABLE, Base, BigId, LongText, UtcDateTime


class ChangePolicy(Base):
    """What one action needs in one environment; without a row it is confirmed.

    above, time_window, by_token: approval is asked for only when one of those that are set holds.
    """

    __tablename__ = "change_policies"
    __table_args__ = (
        UniqueConstraint("environment_id", "action", name="uq_change_policies_action"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    action: Mapped[str] = mapped_column(String(60))
    mode: Mapped[str] = mapped_column(String(10))
    approvers: Mapped[int] = mapped_column(Integer)
    above: Mapped[int | None] = mapped_column(BigInteger)
    time_window: Mapped[str] = mapped_column(String(60))
    by_token: Mapped[bool] = mapped_column(Boolean)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class Change(Base):
    """One request: the frozen intent, and how far it has come. Never deleted.

    ciphertext: the parameters that carry it out, sealed because they may hold personal values and
    secrets. shown: what people may see of it. needed: approvals, by the rule at the time of asking.
    open_key: the digest until it has ended, so that the same is not asked twice. after_id: the
    request that must have succeeded before this one begins.
    """

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_state", "state", "id"),
        Index("ix_changes_environment", "environment_id", "id"),
        Index("ix_changes_created", "created_at"),
        Index("ix_changes_requester", "requester_kind", "requester_id", "id"),
        UniqueConstraint("open_key", name="uq_changes_open_key"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    environment: Mapped[str] = mapped_column(String(80))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(500))
    reason: Mapped[str] = mapped_column(Text)
    shown: Mapped[dict[str, Any]] = mapped_column(JSON)
    ciphertext: Mapped[str] = mapped_column(LongText, info=SEALED)
    digest: Mapped[str] = mapped_column(String(64))
    open_key: Mapped[str | None] = mapped_column(String(64))
    size: Mapped[int | None] = mapped_column(BigInteger)
    rule: Mapped[str] = mapped_column(String(300))
    needed: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    requester_id: Mapped[int] = mapped_column(BigInteger)
    requester_name: Mapped[str] = mapped_column(String(255))
    requester_kind: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    run_id: Mapped[str] = mapped_column(String(100))
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(Text)
    after_id: Mapped[int | None] = mapped_column(BigInteger)


class ChangeText(Base):
    """What a request is searched in, folded; apart from the long sealed row, so that a search which
    finds nothing reads little."""

    __tablename__ = "change_texts"
    __table_args__ = (MYSQL_TABLE,)

    change_id: Mapped[int] = mapped_column(
        ForeignKey("changes.id", ondelete="CASCADE"), primary_key=True
    )
    text: Mapped[str] = mapped_column(LongText)


class ChangeStep(Base):
    """What somebody did to a request: asked, approved, rejected, commented … Never changed."""

    __tablename__ = "change_steps"
    __table_args__ = (Index("ix_change_steps_change", "change_id", "id"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("changes.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(255))
    actor_kind: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
