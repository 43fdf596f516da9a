"""Open a connection to a source MySQL or MariaDB, with every deadline set."""

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pymysql

from backend.core import stopping
from backend.core.database import see_the_cluster
from backend.core.errors import InvalidInput
from backend.core.trust import Trust
from backend.integrations import network
from backend.integrations.mysql.errors import translated

if TYPE_CHECKING:
    # Generic only in its stubs.
    Connection: TypeAlias = pymysql.connections.Connection[Any]
else:
    Connection = pymysql.connections.Connection

#: What holds for the session whatever server, account or proxy set. STRICT: a value that does not
#: fit is an error, never cut off. Safe updates would refuse an UPDATE over a whole table.
_RELIED_ON = (
    "SET NAMES utf8mb4",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION autocommit = 0, foreign_key_checks = 1, unique_checks = 1, sql_safe_updates = 0",
    "SET SESSION sql_select_limit = 18446744073709551615",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
)
TLS_MODES = ("disable", "prefer", "require", "verify-full")
#: Seconds that an answer may be late after the server's own time limit.
_GRACE = 30.0


def address(settings: Mapping[str, str]) -> str:
    """`database on host:port`, for messages."""
    host = settings.get("host") or "localhost"
    return f"{settings.get('database', '')} on {host}:{settings.get('port') or 3306}"


@contextlib.contextmanager
def connect(
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    connect_timeout: float = 10.0,
    statement_timeout: float = 60.0,
    lock_timeout: float = 5.0,
    readonly: bool = False,
) -> Iterator[Connection]:
    """A connection in a transaction of its own; rolled back and closed at the end.

    Timeouts are seconds. A server that does not keep the statement's is given up half a minute
    later. Raises InvalidInput for unusable settings, else the errors of
    `backend.integrations.mysql.errors`.
    """
    with translated(address(settings), plain=settings.get("ssl") == "disable"):
        connection = _open(settings, secrets, connect_timeout, statement_timeout)
        try:
            with connection.cursor() as cursor:
                _settle(cursor, statement_timeout, lock_timeout, readonly=readonly)
            number: int = connection.thread_id()  # type: ignore[no-untyped-call]  # in its stubs
            with stopping.cancellable(partial(_kill, settings, secrets, number)):
                yield connection
        finally:
            # Closing rolls an open transaction back, also when the server is already gone.
            with contextlib.suppress(pymysql.err.Error):
                connection.close()


def _open(
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    connect_timeout: float,
    statement_timeout: float,
) -> Connection:
    missing = [name for name in ("database", "user") if not settings.get(name)]
    if missing:
        raise InvalidInput(
            f"The mysql connection lacks {' and '.join(missing)}; set it on the connections page."
        )
    return pymysql.connect(
        host=settings.get("host") or "localhost",
        port=network.database_port("mysql", settings.get("port") or "3306"),
        user=settings["user"],
        password=secrets.get("password") or "",
        database=settings["database"],
        charset="utf8mb4",
        connect_timeout=max(1, round(connect_timeout)),
        read_timeout=statement_timeout + min(_GRACE, statement_timeout),
        write_timeout=60,
        local_infile=False,
        **_tls(settings.get("ssl"), Trust.of(settings)),
    )


def _kill(settings: Mapping[str, str], secrets: Mapping[str, str], number: int) -> None:
    """End one's own session by its number, from another: the protocol has no other way."""
    with (
        contextlib.suppress(pymysql.err.Error),  # it has ended, or its time limit ends it
        contextlib.closing(_open(settings, secrets, 5.0, 5.0)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("KILL %s", (number,))


def _settle(cursor: Any, statement_timeout: float, lock_timeout: float, *, readonly: bool) -> None:
    for statement in _RELIED_ON:
        cursor.execute(statement)
    seconds = max(1, round(lock_timeout))
    cursor.execute(
        "SET SESSION innodb_lock_wait_timeout = %s, lock_wait_timeout = %s", (seconds, seconds)
    )
    # Another form may write statements, which a replica could not repeat without the key. Needs a
    # right, and is no matter without a binary log: whoever relies on it looks at what is set.
    with contextlib.suppress(pymysql.err.Error):
        cursor.execute("SET SESSION binlog_format = 'ROW'")
    see_the_cluster(cursor)
    cursor.execute("SELECT VERSION()")
    if is_mariadb(str(cursor.fetchone()[0])):
        cursor.execute("SET SESSION max_statement_time = %s", (statement_timeout,))
    else:
        # MySQL keeps the sizes in information_schema for a day, from when the table was empty too.
        cursor.execute(
            "SET SESSION max_execution_time = %s, information_schema_stats_expiry = 0",
            (round(statement_timeout * 1000),),
        )
    cursor.execute("START TRANSACTION READ ONLY" if readonly else "START TRANSACTION READ WRITE")


def is_mariadb(version: str) -> bool:
    """From what VERSION() answers, like 10.11.19-MariaDB or 8.0.40."""
    return "mariadb" in version.lower()


def _tls(text: str | None, trust: Trust) -> dict[str, Any]:
    """pymysql's own default is TLS where the server offers it, unchecked."""
    match text or "prefer":
        case "prefer":
            return {}
        case "disable":
            return {"ssl_disabled": True}
        case "require":
            return {"ssl": Trust(verify=False).context()}
        case "verify-full":
            return {"ssl": trust.context()}
    raise InvalidInput(f"The mysql connection's ssl '{text}' is none of {', '.join(TLS_MODES)}.")
