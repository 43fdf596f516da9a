"""Open a connection to a source PostgreSQL, with every deadline set."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import connection as Connection

from backend.core import resolving
from backend.core.errors import InvalidInput
from backend.core.trust import Trust
from backend.integrations import network
from backend.integrations.postgres import deadline
from backend.integrations.postgres.errors import is_lost, translated

__all__ = ["Connection", "address", "connect", "is_lost", "open_connection", "sql", "translated"]

#: What holds for every transaction whatever the role, the database or a pooler set.
#: synchronous_commit: a commit that was answered must not get lost with the server.
#: session_replication_role: `replica` would pass over triggers and constraints; setting it back
#: needs the right to, and a login without it is refused.
_RELIED_ON = {
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "client_encoding": "UTF8",
    "synchronous_commit": "on",
    "session_replication_role": "origin",
}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class HotStandby(psycopg2.NotSupportedError):
    """BEGIN … READ WRITE is a feature that it does not support: it takes nothing but reads."""

    pgcode = errorcodes.READ_ONLY_SQL_TRANSACTION


def address(settings: Mapping[str, str]) -> str:
    """`database on host:port`, for messages."""
    host = settings.get("host") or "localhost"
    return f"{settings.get('database', '')} on {host}:{settings.get('port') or 5432}"


@contextlib.contextmanager
def connect(
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    application: str = "steward-portal",
    connect_timeout: float = 10.0,
    statement_timeout: float = 60.0,
    lock_timeout: float = 5.0,
    readonly: bool = False,
) -> Iterator[Connection]:
    """A connection inside its one transaction; rolled back and closed at the end.

    Timeouts are seconds and hold for that transaction, so that a connection pooler in between
    passes nothing on to others. A server that does not keep them is given up at most
    `deadline.GRACE` seconds later. Raises InvalidInput for unusable settings, else the errors of
    `backend.integrations.postgres.errors`.
    """
    where = address(settings)
    with translated(where):
        connection = open_connection(
            settings,
            secrets,
            application=application,
            connect_timeout=connect_timeout,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
            readonly=readonly,
        )
        try:
            yield connection
        finally:
            # Closing an open transaction rolls it back, also when the server is already gone.
            connection.close()


def open_connection(
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    application: str,
    connect_timeout: float,
    statement_timeout: float,
    lock_timeout: float,
    readonly: bool = False,
) -> Connection:
    """The same without translation and without closing."""
    arguments = _arguments(settings, secrets)
    connection: deadline.WatchedConnection = psycopg2.connect(
        **{key: value for key, value in arguments.items() if value is not None},
        connect_timeout=max(1, round(connect_timeout)),
        application_name=application[:60],
        connection_factory=deadline.WatchedConnection,
        cursor_factory=deadline.WatchedCursor,
    )
    connection.patience = deadline.patience_for(statement_timeout)
    # Said at BEGIN, so that no default of the role, the database or a pooler counts. Under
    # repeatable read, rows committed while LOCK TABLE waits would not be seen.
    connection.set_session(isolation_level="READ COMMITTED", readonly=readonly, deferrable=False)
    settled = {
        "statement_timeout": f"{round(statement_timeout * 1000)}ms",
        "lock_timeout": f"{round(lock_timeout * 1000)}ms",
        **_RELIED_ON,
    }
    with connection.cursor() as cursor, _first_statement():
        cursor.execute(
            # A server that does not know a setting (transaction_timeout before 17) has no need.
            "SELECT pg_catalog.set_config(s.name, wanted.value, true)"
            " FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))"
            " AS wanted (name, value)"
            " JOIN pg_catalog.pg_settings AS s ON s.name OPERATOR(pg_catalog.=) wanted.name"
            " AND s.setting OPERATOR(pg_catalog.<>) wanted.value",
            (list(settled), list(settled.values())),
        )
    return connection


@contextlib.contextmanager
def _first_statement() -> Iterator[None]:
    try:
        yield
    except psycopg2.OperationalError as exc:
        if exc.pgcode is None and not isinstance(exc, deadline.NoAnswer):
            raise deadline.BrokenAtOnce(str(exc)) from exc
        raise
    except psycopg2.NotSupportedError as exc:
        raise HotStandby(str(exc)) from exc


def _arguments(settings: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, Any]:
    """libpq's arguments, None for what is left out. Raises InvalidInput where one is missing."""
    missing = [name for name in ("database", "user") if not settings.get(name)]
    if missing:
        lacking = " and ".join(missing)
        raise InvalidInput(
            f"The postgres connection lacks {lacking}; set it on the connections page."
        )
    host = settings.get("host") or "localhost"
    return {
        "host": host,
        # libpq resolves names by itself; a test connects to the addresses it has looked at
        "hostaddr": ",".join(resolving.addresses_of(host)[:1]) or None,
        "port": network.database_port("postgres", settings.get("port") or "5432"),
        "dbname": settings["database"],
        "user": settings["user"],
        "password": secrets.get("password") or None,
        **_tls(_sslmode(settings.get("sslmode")), Trust.of(settings)),
        "client_encoding": "UTF8",
        # A peer that vanished is noticed within about a minute, and a stuck write too.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }


def _tls(mode: str, trust: Trust) -> dict[str, str]:
    """libpq's arguments: which authorities count, when certificates are checked at all."""
    if not mode.startswith("verify-"):
        return {"sslmode": mode}
    if not trust.verify:
        return {"sslmode": "require"}
    return {"sslmode": mode, "sslrootcert": trust.bundle()}


def _sslmode(text: str | None) -> str:
    mode = text or "prefer"
    if mode not in _SSL_MODES:
        raise InvalidInput(
            f"The postgres connection's sslmode '{mode}' is none of {', '.join(_SSL_MODES)}."
        )
    return mode
