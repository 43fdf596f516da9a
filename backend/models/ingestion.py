"""Ingestion: mapping rules kept in the portal, their revision, and every run that was asked for."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.crypto import SEALED
from backend.core.database import MYSQL_TABLE, Base, BigId, LongText, UtcDateTime


class IngestionRule(Base):
    """One rule of an environment's mapping.

    kind: exact, tag, prefix or default. pattern: dataset URN, tag URN, prefix; "" for the default.
    invocation: async hands a function's call over, sync holds it until the function has ended.
    problem: what the last check found wrong with the target or the pattern, "" when nothing.
    """

    __tablename__ = "ingestion_rules"
    __table_args__ = (
        Index("uq_ingestion_rules", "environment_id", "kind", "pattern", unique=True),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("environments.id", ondelete="CASCADE")
    )
    kind: Mapped[str] = mapped_column(String(10))
    pattern: Mapped[str] = mapped_column(String(512))
    target_kind: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(300))
    invocation: Mapped[str] = mapped_column(String(10), default="async")
    note: Mapped[str] = mapped_column(String(300))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    problem: Mapped[str] = mapped_column(String(500))


class IngestionMapping(Base):
    """The revision of an environment's rules: it grows with every change, caches compare it."""

    __tablename__ = "ingestion_mappings"
    __table_args__ = (MYSQL_TABLE,)

    environment_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("environments.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    revision: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class IngestionRun(Base):
    """One asked-for run, written before AWS is called, so that nothing is ever forgotten.

    active_key: set while the run may still be going; unique, so one dataset has one run at a time.
    settled: no further look will change the status, but for a failed execution that is redriven.
    next_look_at: when to look again. stop_outcome: of a stop that was sent: accepted or unknown.
    reported: the status that DataHub was told; "" nothing yet, None when it is not told at all.
    report_at: when to see to that again. report_problem: why the last try failed, "" when not.
    """

    __tablename__ = "ingestion_runs"
    __table_args__ = (
        Index("uq_ingestion_runs_run_id", "run_id", unique=True),
        Index("uq_ingestion_runs_active", "active_key", unique=True),
        Index("uq_ingestion_runs_idempotency", "environment_id", "idempotency_key", unique=True),
        Index("ix_ingestion_runs_dataset", "environment_id", "dataset_urn", "id"),
        Index("ix_ingestion_runs_actor", "actor_name", "id"),
        Index("ix_ingestion_runs_urn", "dataset_urn", "id"),
        Index("ix_ingestion_runs_job", "job_urn", "id"),
        Index("ix_ingestion_runs_environment", "environment_name", "id"),
        Index("ix_ingestion_runs_status", "status", "id"),
        Index("ix_ingestion_runs_environment_status", "environment_name", "status", "id"),
        Index("ix_ingestion_runs_actor_status", "actor_name", "status", "id"),
        Index("ix_ingestion_runs_actor_environment", "actor_name", "environment_name", "id"),
        Index("ix_ingestion_runs_created", "created_at"),
        Index("ix_ingestion_runs_look", "settled", "next_look_at"),
        Index("ix_ingestion_runs_report", "report_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[str] = mapped_column(String(80))
    environment_id: Mapped[int] = mapped_column(BigInteger)
    environment_name: Mapped[str] = mapped_column(String(80))
    dataset_urn: Mapped[str] = mapped_column(String(512))
    job_urn: Mapped[str | None] = mapped_column(String(512))
    rule: Mapped[str] = mapped_column(String(20))
    rule_source: Mapped[str] = mapped_column(String(20))
    rule_pattern: Mapped[str] = mapped_column(String(512))
    target_kind: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(300))
    invocation: Mapped[str] = mapped_column(String(10), default="async")
    machine_type: Mapped[str] = mapped_column(String(20))
    region: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(LongText)
    payload: Mapped[str] = mapped_column(LongText)
    payload_hash: Mapped[str] = mapped_column(String(64))
    existence: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(255))
    actor_kind: Mapped[str] = mapped_column(String(20))
    rerun_of: Mapped[str | None] = mapped_column(String(80))
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    active_key: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(20))
    answered: Mapped[bool] = mapped_column(Boolean)
    settled: Mapped[bool] = mapped_column(Boolean)
    public_detail: Mapped[str] = mapped_column(String(500))
    detail: Mapped[str] = mapped_column(Text)
    error_status: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str] = mapped_column(String(128))
    execution_arn: Mapped[str] = mapped_column(String(400))
    log_group: Mapped[str] = mapped_column(String(512))
    log_tail: Mapped[str] = mapped_column(LongText)
    attempts: Mapped[int] = mapped_column(Integer)
    max_attempts: Mapped[int] = mapped_column(Integer)
    timeout_seconds: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    looked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    looks: Mapped[int] = mapped_column(Integer)
    stop_requested_by: Mapped[str | None] = mapped_column(String(255))
    stop_outcome: Mapped[str] = mapped_column(String(20), default="")
    reported: Mapped[str | None] = mapped_column(String(20))
    report_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    report_tries: Mapped[int] = mapped_column(Integer, default=0)
    report_problem: Mapped[str] = mapped_column(String(500), default="")


class IngestionSchedule(Base):
    """A recipe or one of DataHub's sources that the portal starts by itself.

    kind: recipe or source. name: the recipe's file name, the source's URN. title: in words. cron:
    five fields, UTC. ciphertext: the values of the recipe's variables, sealed. last_job_id,
    last_problem: what became of the last start: a job, or why there is none; both None and "" while
    it is being made. set_by_…: in whose name it starts.
    """

    __tablename__ = "ingestion_schedules"
    __table_args__ = (
        Index("uq_ingestion_schedules", "environment_id", "kind", "name", unique=True),
        Index("ix_ingestion_schedules_next", "next_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("environments.id", ondelete="CASCADE")
    )
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(500))
    title: Mapped[str] = mapped_column(String(300))
    cron: Mapped[str] = mapped_column(String(100))
    ciphertext: Mapped[str] = mapped_column(LongText, info=SEALED)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_job_id: Mapped[int | None] = mapped_column(BigInteger)
    last_problem: Mapped[str] = mapped_column(String(500), default="")
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    set_by_id: Mapped[int] = mapped_column(BigInteger)
    set_by_name: Mapped[str] = mapped_column(String(255))
    set_by_kind: Mapped[str] = mapped_column(String(20))


class IngestionFavourite(Base):
    """A dataset that somebody wants first in the list. owner: KIND:NUMBER of the actor."""

    __tablename__ = "ingestion_favourites"
    __table_args__ = (MYSQL_TABLE,)

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    environment_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("environments.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    dataset_urn: Mapped[str] = mapped_column(String(512), primary_key=True)
