"""What the services of this room return: frozen, without secrets unless the name says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from backend.core.trust import DEFAULT, Trust, authorities

ConnectionStatus = Literal["connected", "failed", "unknown"]


@dataclass(frozen=True)
class EnvironmentView:
    """version: pass it back when saving, so that two admins cannot overwrite each other."""

    id: int
    name: str
    is_default: bool
    is_sandbox: bool
    is_production: bool
    version: int
    updated_at: datetime
    updated_by: str
    trust: Trust = DEFAULT

    @property
    def authorities(self) -> tuple[str, ...]:
        """The names of the authorities that it trusts beside the machine's."""
        return tuple(item.subject.rfc4514_string() for item in authorities(self.trust.ca))


@dataclass(frozen=True)
class ConnectionConfig:
    """Settings and decrypted secrets of one connection, for adapters only; never shown or logged.

    settings: every setting of the kind as text, defaults filled in, "" when absent.
    With them travels what the environment trusts (`core.trust`), for adapters that take a mapping.
    secrets: only those that are set. version: 0 when nothing is stored.
    """

    environment: EnvironmentView
    kind: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    version: int

    @property
    def trust(self) -> Trust:
        """Whose certificates the other side may show."""
        return Trust.of(self.settings)


@dataclass(frozen=True)
class SecretState:
    """A write-only secret as people may see it: set or not, when and by whom."""

    field: str
    is_set: bool
    changed_at: datetime | None = None
    changed_by: str = ""


@dataclass(frozen=True)
class ConnectionView:
    """One connection of an environment without its secrets; version 0 is "not configured"."""

    environment: str
    kind: str
    configured: bool
    settings: Mapping[str, str]
    secrets: tuple[SecretState, ...]
    version: int
    updated_at: datetime | None
    updated_by: str


@dataclass(frozen=True)
class TestResult:
    """One test of one kind. cause and advice are one sentence each, "" when all is well.

    tls: `tls.document` of what the server showed, None where it speaks no TLS.
    refused: the server said that it does not accept the credentials; known only while the test
    runs, not kept. ends: `jwt.ends` of the secrets it was tested with.
    """

    __test__ = False

    kind: str
    ok: bool
    latency_ms: int
    server_version: str = ""
    cause: str = ""
    advice: str = ""
    warnings: tuple[str, ...] = ()
    tested_at: datetime | None = None
    tested_by: str = ""
    draft: bool = False
    refused: bool = False
    tls: Mapping[str, Any] | None = None
    ends: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClientInfoView:
    """DataHub client info of one environment (DESIGN 6.1).

    stale: the last success is older than a day, or there was none. failing_since: first failure
    of the current row of failures. edited_by: who changed the values by hand since DataHub was
    last asked, "" when nobody did.
    """

    environment: str
    client_id: str
    server_id: str
    frontend_base_url: str
    server_config: Mapping[str, Any]
    connection_status: ConnectionStatus
    error_message: str
    last_connection_test: datetime | None
    created_at: datetime | None
    last_updated: datetime | None
    failing_since: datetime | None
    stale: bool
    edited_by: str = ""
    edited_at: datetime | None = None


@dataclass(frozen=True)
class ClientInfoPage:
    """next_cursor: how many rows come before the next page; None on the last one."""

    items: tuple[ClientInfoView, ...]
    next_cursor: int | None
