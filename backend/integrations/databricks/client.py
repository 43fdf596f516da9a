"""The SQL warehouse: configuration, and statements with native parameters."""

import contextlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

from backend.core import stopping
from backend.core.errors import (
    InvalidInput,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.core.settings import Settings
from backend.core.trust import DEFAULT, Trust
from backend.integrations.databricks.errors import SYSTEM, translated
from backend.integrations.network import Place

#: Seconds between two tries to cancel a statement that has no number yet or goes on.
_CANCEL_PAUSE = 0.2
_JDBC = re.compile(
    r"^jdbc:(?:databricks|spark)://(?P<host>[^:/;]+)(?::(?P<port>\d+))?(?:/[^;]*)?(?P<options>(?:;.*)?)$"
)


@dataclass(frozen=True)
class DatabricksConfig:
    """catalog: "" when the connection serves every catalog."""

    server_hostname: str
    http_path: str
    catalog: str
    access_token: str = field(repr=False)
    trust: Trust = DEFAULT
    port: int = 443


def from_connection(
    settings: Mapping[str, str], secrets: Mapping[str, str]
) -> DatabricksConfig | None:
    """The configuration of a stored connection; None while something needed is missing."""
    return _config(
        jdbc_url=settings.get("jdbc_url", ""),
        server_hostname=settings.get("server_hostname", ""),
        http_path=settings.get("http_path", ""),
        catalog=settings.get("catalog", ""),
        access_token=secrets.get("access_token", ""),
        trust=Trust.of(settings),
    )


def from_settings(settings: Settings) -> DatabricksConfig | None:
    """The same from DBX_JDBC_URL, DBX_TOKEN, DBX_HTTP_PATH and DBX_CATALOG."""
    return _config(
        jdbc_url=settings.dbx_jdbc_url.get_secret_value(),
        server_hostname="",
        http_path=settings.dbx_http_path,
        catalog=settings.dbx_catalog,
        access_token=settings.dbx_token.get_secret_value(),
    )


def _config(
    *,
    jdbc_url: str,
    server_hostname: str,
    http_path: str,
    catalog: str,
    access_token: str,
    trust: Trust = DEFAULT,
) -> DatabricksConfig | None:
    port = 443
    if jdbc_url:
        found = _JDBC.match(jdbc_url.strip())
        if found is None:
            raise InvalidInput(
                "The Databricks JDBC URL has not the form "
                "jdbc:databricks://<host>:443;httpPath=<path>."
            )
        options = _options(found["options"])
        port = int(found["port"] or 443)
        server_hostname = server_hostname or found["host"]
        http_path = http_path or options.get("httppath", "")
        catalog = catalog or options.get("conncatalog", "")
        access_token = access_token or options.get("pwd", "")
    if not (server_hostname and http_path and access_token):
        return None
    host = server_hostname.removeprefix("https://").rstrip("/")
    return DatabricksConfig(host, http_path, catalog, access_token, trust, port)


def _options(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


class DatabricksClient:
    """A session on the warehouse; use as a context manager. Statements are sent once."""

    def __init__(self, config: DatabricksConfig, *, timeout: float = 60.0) -> None:
        self._config, self._timeout = config, timeout
        self._place = Place(config.server_hostname, f"https://{config.server_hostname}")
        self._connection: Any = None

    def __enter__(self) -> Self:
        from databricks import sql

        trust = self._config.trust
        with translated(self._place):
            self._connection = sql.connect(
                _tls_no_verify=not trust.verify,
                _tls_trusted_ca_file=trust.bundle(),
                server_hostname=self._config.server_hostname,
                _port=self._config.port,
                http_path=self._config.http_path,
                access_token=self._config.access_token,
                catalog=self._config.catalog or None,
                session_configuration={"STATEMENT_TIMEOUT": str(max(1, round(self._timeout)))},
                user_agent_entry="steward-portal",
                enable_telemetry=False,
                _socket_timeout=self._timeout,
                # A status without Retry-After is the answer; with it, one more try in time.
                _respect_server_retry_after_header=True,
                _retry_stop_after_attempts_count=1,
                _retry_stop_after_attempts_duration=self._timeout,
            )
        _never_again_after_a_break(self._connection)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with translated(self._place):
            self._connection.close()

    def rows(
        self, statement: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of a query; parameters are `:name` in the statement.

        Raises Stopped when a person stops it; the warehouse is told to cancel the statement.
        """
        with translated(self._place), self._connection.cursor() as cursor:
            ended = threading.Event()
            with stopping.cancellable(partial(self._cancel, cursor, ended)):
                try:
                    return _fetched(cursor, statement, parameters)
                finally:
                    ended.set()

    def _cancel(self, cursor: Any, ended: threading.Event) -> None:
        """Cancel the cursor's statement, again until it has ended: the connector knows its number
        only from the warehouse's first answer, and does nothing without one."""
        while not ended.wait(_CANCEL_PAUSE):
            if cursor.query_id:
                # It has ended, or its time limit ends it.
                with contextlib.suppress(UpstreamError), translated(self._place):
                    cursor.cancel()

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement that changes rows; how many it changed.

        Raises OutcomeUnknown when no answer came: the change may have happened.
        """
        try:
            with translated(self._place), self._connection.cursor() as cursor:
                found = _fetched(cursor, statement, parameters)
        except (UpstreamTimeout, UpstreamUnavailable) as exc:
            raise OutcomeUnknown(
                SYSTEM,
                f"the statement was sent, but {exc.cause}",
                "Look at the warehouse's query history before repeating it.",
            ) from exc
        return int(found[0][0]) if found and found[0] else 0


def _fetched(
    cursor: Any, statement: str, parameters: Mapping[str, Any] | None
) -> list[tuple[Any, ...]]:
    cursor.execute(statement, dict(parameters or {}))
    return [tuple(row) for row in cursor.fetchall()]


def _never_again_after_a_break(connection: Any) -> None:
    """Send no request again whose answer was lost: the statement may have been carried out.

    The connector counts POST among what may be repeated (`DatabricksRetryPolicy`, 4.9), so its HTTP
    library would send a statement once more when the connection breaks after it was sent; no
    setting of the connector turns that off. A connection that never came about sent nothing, and a
    429 or 503 with Retry-After did nothing: those are still tried once more.
    """
    connection.session.backend.retry_policy.read = False
    connection.session.backend.retry_policy.other = False
