"""The SQL warehouse: configuration, statements with native parameters, errors as sentences."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from backend.core.errors import (
    InvalidInput,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.core.settings import Settings
from backend.core.trust import DEFAULT, Trust

SYSTEM = "Databricks"
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
        self._connection: Any = None

    def __enter__(self) -> Self:
        from databricks import sql

        trust = self._config.trust
        with translated():
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
                _retry_stop_after_attempts_count=2,
                _retry_stop_after_attempts_duration=self._timeout,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with translated():
            self._connection.close()

    def rows(
        self, statement: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of a query; parameters are `:name` in the statement."""
        with translated(), self._connection.cursor() as cursor:
            cursor.execute(statement, dict(parameters or {}))
            return [tuple(row) for row in cursor.fetchall()]

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement that changes rows; how many it changed.

        Raises OutcomeUnknown when no answer came: the change may have happened.
        """
        try:
            found = self.rows(statement, parameters)
        except (UpstreamTimeout, UpstreamUnavailable) as exc:
            raise OutcomeUnknown(
                SYSTEM,
                f"the statement was sent, but {exc.cause}",
                "Look at the warehouse's query history before repeating it.",
            ) from exc
        return int(found[0][0]) if found and found[0] else 0


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the connector's errors into the portal's; values of rows never get into the text."""
    from databricks.sql import exc as dbx
    from urllib3.exceptions import HTTPError

    try:
        yield
    except dbx.MaxRetryDurationError as exc:
        raise UpstreamTimeout(
            SYSTEM, "the warehouse did not answer in time", "It may be starting; try again."
        ) from exc
    except (dbx.RequestError, dbx.OperationalError) as exc:
        raise _request_error(exc) from exc
    except dbx.ServerOperationError as exc:
        raise UpstreamError(SYSTEM, _server_cause(str(exc)), _server_advice(str(exc))) from exc
    except dbx.Error as exc:
        raise _request_error(exc) from exc
    except (OSError, HTTPError) as exc:
        # The connector passes on what its HTTP library raises while a session is opened.
        raise UpstreamUnavailable(
            SYSTEM,
            "the warehouse cannot be reached",
            "Check the server host name, and the network between.",
        ) from exc


def _request_error(exc: Exception) -> UpstreamError:
    text = f"{exc} {getattr(exc, 'context', '')}"
    if "401" in text or "403" in text or "Invalid access token" in text:
        return UpstreamError(
            SYSTEM, "the access token was refused", "Create a new one and save it."
        )
    if "404" in text or "NOT_FOUND" in text:
        return UpstreamError(
            SYSTEM, "there is no warehouse at that HTTP path", "Check the HTTP path."
        )
    if type(exc).__name__ == "ServerOperationError":
        return UpstreamError(SYSTEM, _server_cause(str(exc)), _server_advice(str(exc)))
    return UpstreamUnavailable(
        SYSTEM,
        "the warehouse cannot be reached",
        "Check the server host name and HTTP path, and the network between.",
    )


#: Error classes of Spark and Delta that people meet, by the words in brackets of the message.
_CLASSES = {
    "TABLE_OR_VIEW_NOT_FOUND": ("there is no such table", "Check the dataset's URN."),
    "PERMISSION_DENIED": ("the token's owner lacks a right", "Grant SELECT and MODIFY on it."),
    "INSUFFICIENT_PERMISSIONS": ("the token's owner lacks a right", "Grant SELECT and MODIFY."),
    "DELTA_CONCURRENT": (
        "another writer changed the table meanwhile",
        "Nothing was changed; retry.",
    ),
    "DELTA_VIOLATE_CONSTRAINT": ("a check constraint refused a token", "Leave that column out."),
    "EXCEED_LIMIT_LENGTH": ("a token is longer than its column", "Widen the column."),
    "QUERY_TIMEOUT": ("the statement took longer than its limit", "Nothing was changed."),
    "UNRESOLVED_COLUMN": ("there is no such column", "Preview the dataset again."),
}


def _server_cause(text: str) -> str:
    return next((cause for word, (cause, _) in _CLASSES.items() if word in text), _unnamed(text))


def _server_advice(text: str) -> str:
    return next(
        (advice for word, (_, advice) in _CLASSES.items() if word in text),
        "Look the statement up in the warehouse's query history.",
    )


def _unnamed(text: str) -> str:
    """The error's class in brackets, without the message, which may quote values."""
    found = re.search(r"\[([A-Z0-9_.]+)\]", text)
    return f"the warehouse refused the statement ({found[1] if found else 'no error class'})"
