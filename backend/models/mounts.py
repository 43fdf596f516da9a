"""Mounts: target templates, requests on their way to a job, orphans found, and the watch."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.crypto import SEALED
from backend.core.database import MYSQL_TABLE, Base, BigId, UtcDateTime


class MountTarget(Base):
    """A backup target that operators mount by name instead of by JSON.

    secret_ref: ciphertext, "" for nfs. target_id: the id the ledger knows it by.
    """

    __tablename__ = "mount_targets"
    __table_args__ = (
        Index("uq_mount_targets", "environment_id", "target_id", unique=True),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("environments.id", ondelete="CASCADE")
    )
    target_id: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(10))
    filesystem_export: Mapped[str] = mapped_column(String(1000))
    mount_path: Mapped[str] = mapped_column(String(1000))
    nfs_mount_opts: Mapped[str] = mapped_column(String(500))
    secret_ref: Mapped[str] = mapped_column(Text, info=SEALED)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class MountRequestBox(Base):
    """A complete request, encrypted, from the click until its job has used it.

    environment: name, "" for the DMS_* settings. kind: mount, unmount or recheck.
    """

    __tablename__ = "mount_requests"
    __table_args__ = (Index("ix_mount_requests_created", "created_at"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(10))
    operation_id: Mapped[str] = mapped_column(String(64))
    ciphertext: Mapped[str] = mapped_column(Text, info=SEALED)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MountOrphan(Base):
    """A mounted entry with evidence against it, as the last scan saw it.

    ledger_id: its number in the order of entries; the id where the ledger has ids. reasons: kinds,
    comma separated, in a fixed order. evidence: JSON {id, problem, reasons: kind to sentence}.
    jobid, created_at: None when the ledger's row could not be read.
    environment_id: 0 for the DMS_* settings.
    """

    __tablename__ = "mount_orphans"
    __table_args__ = (
        Index("ix_mount_orphans_ledger", "environment_id", "ledger_id"),
        Index("ix_mount_orphans_host", "environment_id", "host"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    ledger_id: Mapped[int] = mapped_column(BigInteger)
    backup_target_id: Mapped[str] = mapped_column(String(255))
    jobid: Mapped[int | None] = mapped_column(BigInteger)
    host: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reasons: Mapped[str] = mapped_column(String(200))
    evidence: Mapped[str] = mapped_column(Text)


class MountWatch(Base):
    """Per environment: how old a mount may be, and what the last scan found.

    complete: False when the scan stopped at its limit. unknown: operations with unknown outcome.
    """

    __tablename__ = "mount_watches"
    __table_args__ = (MYSQL_TABLE,)

    environment_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    environment: Mapped[str] = mapped_column(String(80))
    max_age_hours: Mapped[int] = mapped_column(Integer)
    scanned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    active: Mapped[int] = mapped_column(Integer)
    orphans: Mapped[int] = mapped_column(Integer)
    too_old: Mapped[int] = mapped_column(Integer)
    unknown: Mapped[int] = mapped_column(Integer)
    complete: Mapped[bool] = mapped_column(Boolean)
    problem: Mapped[str] = mapped_column(String(500))
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
