"""Notifications: where messages go, each message on its way, and what each person has seen."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.crypto import SEALED
from backend.core.database import MYSQL_TABLE, Base, BigId, UtcDateTime


class NotificationChannel(Base):
    """Where messages go. owner_id: the account it belongs to; 0: the portal's own.

    ciphertext: the address, a secret as a whole, with the key that signs a webhook. shown: what
    people may see of it. kinds: of events; empty: all. environment_id None: of all environments.
    """

    __tablename__ = "notification_channels"
    __table_args__ = (
        UniqueConstraint("owner_id", "name", name="uq_notification_channels_name"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(80))
    environment_id: Mapped[int | None] = mapped_column(
        ForeignKey("environments.id", ondelete="CASCADE")
    )
    kinds: Mapped[list[str]] = mapped_column(JSON)
    service: Mapped[str] = mapped_column(String(40))
    shown: Mapped[str] = mapped_column(String(200))
    ciphertext: Mapped[str] = mapped_column(Text, info=SEALED)
    quiet: Mapped[str] = mapped_column(String(60))
    digest: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255))
    since_event: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    enabled: Mapped[bool] = mapped_column(Boolean)


class NotificationDelivery(Base):
    """One event on its way to one channel. state: waiting, sent, failed or dropped (over before
    anybody was told). due_at: not before; while a process sends it, when another may try."""

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        UniqueConstraint("channel_id", "event_id", name="uq_notification_deliveries_event"),
        Index("ix_notification_deliveries_due", "state", "due_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel_id: Mapped[int] = mapped_column(
        ForeignKey("notification_channels.id", ondelete="CASCADE")
    )
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(10))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text)


class NotificationSeen(Base):
    """How far a person has read."""

    __tablename__ = "notification_seen"
    __table_args__ = (MYSQL_TABLE,)

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    event_id: Mapped[int] = mapped_column(BigInteger)


class AlertSeen(Base):
    """An alert that a person has put aside, for as long as it says the same. alert: Alert.key."""

    __tablename__ = "alerts_seen"
    __table_args__ = (MYSQL_TABLE,)

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    alert: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
