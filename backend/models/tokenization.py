"""Tokenization runs, and the trigger tags that have been answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import MYSQL_TABLE, Base, BigId, UtcDateTime


class TokenizationRun(Base):
    """One request to rewrite columns of one table, and what became of it.

    active_key names the table while the run may still change it and is NULL afterwards; being
    unique, it allows one run per table. transaction_id is the engine's name for the source
    database's transaction, recorded before the first change, so that the database can be asked how
    the run ended.
    """

    __tablename__ = "tokenization_runs"
    __table_args__ = (
        Index("ix_tokenization_runs_dataset", "dataset", "id"),
        Index("ix_tokenization_runs_state", "state", "id"),
        Index("ix_tokenization_runs_environment", "environment", "id"),
        Index("ix_tokenization_runs_trigger", "trigger_kind", "id"),
        Index("ix_tokenization_runs_environment_state", "environment", "state", "id"),
        Index("ix_tokenization_runs_environment_trigger", "environment", "trigger_kind", "id"),
        Index("ix_tokenization_runs_state_trigger", "state", "trigger_kind", "id"),
        Index("ix_tokenization_runs_write_back", "write_back", "write_back_attempts"),
        Index("ix_tokenization_runs_ended", "state", "finished_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    environment: Mapped[str] = mapped_column(String(80))
    dataset: Mapped[str] = mapped_column(String(512))
    engine: Mapped[str] = mapped_column(String(20))
    source_table: Mapped[str] = mapped_column(String(300))
    columns: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    scheme: Mapped[str] = mapped_column(String(20))
    key_fingerprint: Mapped[str] = mapped_column(String(16))
    trigger_kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    active_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    actor_id: Mapped[int] = mapped_column(BigInteger)
    actor_name: Mapped[str] = mapped_column(String(255))
    actor_kind: Mapped[str] = mapped_column(String(20))
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    transaction_id: Mapped[str | None] = mapped_column(String(40))
    rows_scanned: Mapped[int | None] = mapped_column(BigInteger)
    rows_updated: Mapped[int | None] = mapped_column(BigInteger)
    details: Mapped[str] = mapped_column(Text)
    write_back: Mapped[str] = mapped_column(String(20))
    write_back_details: Mapped[str] = mapped_column(Text)
    write_back_attempts: Mapped[int] = mapped_column(Integer)
    write_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    method: Mapped[str] = mapped_column(String(20), server_default="in-place", default="in-place")
    clean_up: Mapped[str] = mapped_column(String(20), server_default="", default="")
    clean_up_details: Mapped[str | None] = mapped_column(Text)


class TokenizationTag(Base):
    """A `tokenize/run` tag that has been answered by a run; gone when the tag is gone."""

    __tablename__ = "tokenization_tags"
    __table_args__ = (
        Index("ux_tokenization_tags_dataset", "environment_id", "dataset", unique=True),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(BigInteger)
    dataset: Mapped[str] = mapped_column(String(512))
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
