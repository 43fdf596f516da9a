"""Environments, their connections with sealed secrets, test history and DataHub client info."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.crypto import SEALED
from backend.core.database import MYSQL_TABLE, Base, BigId, LongText, UtcDateTime


class Environment(Base):
    """A named set of connections, for example "Production".

    name_key is the name folded for comparison. default_marker is 1 on the default environment
    and NULL on all others: a unique index over it lets the database itself keep "one default".
    ca: PEM of the authorities that its connections trust beside the system's; verify_tls: whether
    certificates are checked at all.
    A number is never used twice: plans and runs outlive their environment, under its number.
    """

    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("name_key", name="uq_environments_name_key"),
        UniqueConstraint("default_marker", name="uq_environments_default"),
        {**MYSQL_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    name_key: Mapped[str] = mapped_column(String(160))
    default_marker: Mapped[int | None] = mapped_column(Integer)
    is_sandbox: Mapped[bool] = mapped_column(Boolean)
    is_production: Mapped[bool] = mapped_column(Boolean)
    ca: Mapped[str | None] = mapped_column(LongText)
    verify_tls: Mapped[bool] = mapped_column(Boolean, server_default=true())
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class Connection(Base):
    """The settings of one kind in one environment; its secrets are rows of their own."""

    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("environment_id", "kind", name="uq_connections_environment_kind"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(30))
    settings: Mapped[dict[str, str]] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class ConnectionSecret(Base):
    """One sealed secret, bound to its environment, kind and field."""

    __tablename__ = "connection_secrets"
    __table_args__ = (
        UniqueConstraint(
            "environment_id", "kind", "field", name="uq_connection_secrets_environment_kind_field"
        ),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(30))
    field: Mapped[str] = mapped_column(String(60))
    ciphertext: Mapped[str] = mapped_column(Text, info=SEALED)
    key_id: Mapped[str] = mapped_column(String(16))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(String(255))


class ConnectionTest(Base):
    """One past test of a connection; the newest per kind is its health.

    version: of the settings that were tested; a test of other settings says nothing about health.
    tls: `connections.tls.Seen` as a document; None where no certificate was shown.
    ends: secret that says when it ends → when; None in rows of an older release.
    """

    __tablename__ = "connection_tests"
    __table_args__ = (
        Index("ix_connection_tests_environment_kind", "environment_id", "kind", "id"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(30))
    tested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tested_by: Mapped[str] = mapped_column(String(255))
    draft: Mapped[bool] = mapped_column(Boolean)
    version: Mapped[int | None] = mapped_column(Integer)
    ok: Mapped[bool] = mapped_column(Boolean)
    latency_ms: Mapped[int] = mapped_column(Integer)
    server_version: Mapped[str] = mapped_column(String(200))
    cause: Mapped[str] = mapped_column(Text)
    advice: Mapped[str] = mapped_column(Text)
    warnings: Mapped[list[str]] = mapped_column(JSON)
    tls: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    ends: Mapped[dict[str, str] | None] = mapped_column(JSON)


class DataHubClientInfo(Base):
    """What DataHub says about itself and this client; one row per environment.

    client_id is not unique: two servers with telemetry off both say MISSING_SERVER_ID.
    edited_by, edited_at: who changed the values by hand; empty for what DataHub said itself.
    """

    __tablename__ = "datahub_client_info"
    __table_args__ = (
        UniqueConstraint("environment_id", name="uq_datahub_client_info_environment"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    client_id: Mapped[str] = mapped_column(String(255))
    server_id: Mapped[str] = mapped_column(String(255))
    frontend_base_url: Mapped[str] = mapped_column(String(1000))
    server_config: Mapped[dict[str, Any]] = mapped_column(JSON)
    connection_status: Mapped[str] = mapped_column(String(20))
    error_message: Mapped[str] = mapped_column(Text)
    last_connection_test: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_updated: Mapped[datetime] = mapped_column(UtcDateTime)
    edited_by: Mapped[str | None] = mapped_column(String(255))
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
