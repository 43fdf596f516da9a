"""User sync: plans with their rows, runs with an item per user, ignored differences, settings.

Domains are JSON text in the rows ([{"id", "name", "fqn"}, …]): the planner writes 100,000 rows
and encodes each distinct list once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import MYSQL_TABLE, Base, BigId, LongText, UtcDateTime


class SyncPlan(Base):
    """What would change, as seen at one moment. state: planning, ready, failed."""

    __tablename__ = "user_sync_plans"
    __table_args__ = (
        Index("ix_user_sync_plans_environment", "environment_id", "id"),
        Index("ix_user_sync_plans_state", "state", "created_at"),
        Index("ix_user_sync_plans_expires", "expires_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    environment: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(20))
    origin: Mapped[str] = mapped_column(String(20))
    reverts_run_id: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    host_port: Mapped[str] = mapped_column(String(500))
    server_version: Mapped[str] = mapped_column(String(40))
    directory_count: Mapped[int] = mapped_column(Integer)
    listed_count: Mapped[int] = mapped_column(Integer)
    matched_count: Mapped[int] = mapped_column(Integer)
    kinds: Mapped[dict[str, int]] = mapped_column(JSON)
    fields: Mapped[dict[str, int]] = mapped_column(JSON)
    domain_names: Mapped[list[str]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[int | None] = mapped_column(BigInteger)


class SyncRow(Base):
    """One directory user of a plan, with the before-image it was planned against."""

    __tablename__ = "user_sync_rows"
    # No index beside the key: a plan's rows lie together, and 100,000 are looked through in 50 ms.
    __table_args__ = (MYSQL_TABLE,)

    plan_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(500))
    email: Mapped[str] = mapped_column(String(320))
    user_id: Mapped[str | None] = mapped_column(String(64))
    user_name: Mapped[str | None] = mapped_column(String(256))
    version: Mapped[float | None] = mapped_column(Float(53))
    updated_at: Mapped[int | None] = mapped_column(BigInteger)
    #: new_name is None and new_domains "" where they are the old ones and nothing is set.
    old_name: Mapped[str | None] = mapped_column(LongText)
    new_name: Mapped[str | None] = mapped_column(LongText)
    sets_name: Mapped[bool] = mapped_column(Boolean)
    look_alike: Mapped[bool] = mapped_column(Boolean)
    old_domains: Mapped[str] = mapped_column(LongText)
    new_domains: Mapped[str] = mapped_column(LongText)
    inherited: Mapped[str] = mapped_column(LongText)
    sets_domains: Mapped[bool] = mapped_column(Boolean)
    #: For filters: the domains concerned as "|finance|marketing|", and the text people search in.
    domain_keys: Mapped[str] = mapped_column(LongText)
    search: Mapped[str] = mapped_column(LongText)
    #: Further texts that would change as JSON, {"description": [old, new]}; None where none would.
    texts: Mapped[str | None] = mapped_column(LongText)
    #: What the directory calls domains that nobody has, one a line.
    unknown: Mapped[str | None] = mapped_column(LongText)


class SyncRun(Base):
    """One application of a plan; a plan is applied once.

    state: queued, running, succeeded, partial (conflicts or failures), stopped (can be continued),
    cancelled. claimed_by and heartbeat_at keep two workers from the same run.
    """

    __tablename__ = "user_sync_runs"
    __table_args__ = (
        UniqueConstraint("plan_id", name="uq_user_sync_runs_plan"),
        Index("ix_user_sync_runs_environment", "environment_id", "id"),
        Index("ix_user_sync_runs_state", "state", "id"),
        Index("ix_user_sync_runs_created", "created_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(BigInteger)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    environment: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(20))
    note: Mapped[str] = mapped_column(String(500))
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(255))
    actor_role: Mapped[str] = mapped_column(String(20))
    actor_kind: Mapped[str] = mapped_column(String(20))
    total: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_by: Mapped[str | None] = mapped_column(String(200))
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SyncItem(Base):
    """One user of a run. state: pending, sending, applied, conflict, failed, unknown.

    sending is written before the PATCH leaves. stored names the fields that were really stored
    ("displayName,domains"): the revert takes them back.
    """

    __tablename__ = "user_sync_items"
    __table_args__ = (Index("ix_user_sync_items_state", "run_id", "state", "position"), MYSQL_TABLE)

    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    plan_id: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[str] = mapped_column(String(64))
    email: Mapped[str] = mapped_column(String(320))
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(Text)
    stored: Mapped[str] = mapped_column(String(40))
    version_after: Mapped[float | None] = mapped_column(Float(53))
    updated_after: Mapped[int | None] = mapped_column(BigInteger)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SyncIgnore(Base):
    """A difference somebody decided to leave, until either side changes.

    digest is over both sides' values; difference shows them to people.
    """

    __tablename__ = "user_sync_ignores"
    __table_args__ = (
        UniqueConstraint("environment_id", "user_id", "field", name="uq_user_sync_ignores_field"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[str] = mapped_column(String(64))
    field: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    email: Mapped[str] = mapped_column(String(320))
    difference: Mapped[str] = mapped_column(LongText)
    author: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SyncSettings(Base):
    """How an environment plans and applies; absent means the defaults of `schemas.Settings`."""

    __tablename__ = "user_sync_settings"
    __table_args__ = (MYSQL_TABLE,)

    environment_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    last_good_count: Mapped[int | None] = mapped_column(Integer)
    last_good_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_plan_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class SyncUpload(Base):
    """The file of people of an environment whose directory is one. Personal values live here."""

    __tablename__ = "user_sync_uploads"
    __table_args__ = (MYSQL_TABLE,)

    environment_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(255))
    content: Mapped[str] = mapped_column(LongText)
    people: Mapped[int] = mapped_column(Integer)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uploaded_by: Mapped[str] = mapped_column(String(255))


class SyncDomainMap(Base):
    """What the directory says for a domain, and which domain is meant. Rows are ended, never
    changed or deleted: together they are the history."""

    __tablename__ = "user_sync_domain_map"
    __table_args__ = (Index("ix_user_sync_domain_map", "environment_id", "id"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    said: Mapped[str] = mapped_column(String(256))
    domain: Mapped[str] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(String(255))
