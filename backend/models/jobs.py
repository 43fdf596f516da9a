"""Background jobs: their rows, log lines and the leases that name one leader."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import MYSQL_TABLE, Base, BigId, UtcDateTime


class Job(Base):
    """One request to do something in the background, from queued to its end. queue: which processes
    may do it, see backend/jobs/broker.py."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_state", "state", "id"),
        Index("ix_jobs_kind", "kind", "id"),
        Index("ix_jobs_subject", "subject", "id"),
        Index("ix_jobs_actor", "actor_name", "id"),
        Index("ix_jobs_kind_state", "kind", "state", "id"),
        Index("ix_jobs_actor_state", "actor_name", "state", "id"),
        Index("ix_jobs_actor_kind", "actor_name", "kind", "id"),
        Index("ix_jobs_created", "created_at", "state", "kind"),
        Index("ix_jobs_ended", "state", "finished_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(500))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(20))
    queue: Mapped[str] = mapped_column(String(40), server_default="portal.jobs")
    resumable: Mapped[bool] = mapped_column(Boolean)
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(255))
    actor_role: Mapped[str] = mapped_column(String(20))
    actor_kind: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(String(200))
    attempt: Mapped[int] = mapped_column(Integer)
    cancel_requested: Mapped[bool] = mapped_column(Boolean)
    progress_done: Mapped[int] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(String(500))
    error: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class JobLine(Base):
    """One line of a job's live log."""

    __tablename__ = "job_lines"
    __table_args__ = (Index("ix_job_lines_job", "job_id", "id"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    line: Mapped[str] = mapped_column(Text)


class Lease(Base):
    """A named role that one process holds until `expires_at` (the scheduler's leader)."""

    __tablename__ = "leases"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScheduleMark(Base):
    """When a periodic task last ran, so that a change of leader neither skips nor doubles it."""

    __tablename__ = "schedule_marks"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    last_run_at: Mapped[datetime] = mapped_column(UtcDateTime)
