"""The connection pool of a ledger's database, with the rules that each kind of server needs."""

import contextlib
import os
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

from pymysql.constants import CLIENT
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
)
from sqlalchemy.exc import DataError, OperationalError

#: Execution option of a connection whose transactions write.
WRITES = "ledger_write"
#: For which a locked SQLite file is waited for.
SQLITE_SECONDS = 15
#: A session of MySQL or MariaDB, whatever server or account set: UTC; a value that does not fit is
#: an error, and no other one is stored in its place; no row is hidden, and none may not be changed.
_SETTLED = (
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
    "sql_select_limit = 18446744073709551615, sql_safe_updates = 0"
)
#: Of PostgreSQL. A server that vanished without a word is noticed within about a minute; MySQL's
#: answers have a time limit of their own.
_POSTGRES: dict[str, Any] = {
    "connect_timeout": 10,
    "options": "-c timezone=UTC",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_PATIENT = f"busy_timeout={SQLITE_SECONDS * 1000}"


class ValueDoesNotFit(Exception):
    """A value that no column can hold: a number beyond 64 bits, a NUL or half a character."""

    def __init__(self) -> None:
        super().__init__(
            "A value does not fit the database: a number is too large, a text too long, "
            "or it holds a NUL or a broken character. Correct it and try again."
        )


def open_engine(url: URL) -> Engine:
    """A pool whose sessions speak UTC; drivers' refusals of a value raise ValueDoesNotFit."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        engine = _sqlite(url)
    elif backend in ("mysql", "mariadb"):
        flags = int(str(url.query.get("client_flag", 0))) | CLIENT.MULTI_STATEMENTS  # for `run`
        engine = _mysql(url.update_query_dict({"charset": "utf8mb4", "client_flag": str(flags)}))
    else:
        engine = _pool(url, isolation_level="READ COMMITTED", connect_args=_POSTGRES)
    event.listen(engine, "handle_error", _refuse_unusable_values)
    return engine


def _pool(url: URL, **more: Any) -> Engine:
    """No ping before a use and no rollback after a commit: each is a round trip that a mount waits
    for. `Ledger` asks once more where an idle connection turns out to be dead."""
    return create_engine(url, pool_reset_on_return=None, pool_size=10, max_overflow=20, **more)


def _mysql(url: URL) -> Engine:
    engine = _pool(
        url,
        pool_recycle=1800,
        isolation_level="READ COMMITTED",
        paramstyle="format",  # by position, so that statements of a packet share no names
        # A server may ask for any file of this machine; it gets none, whatever the URL says.
        connect_args={"connect_timeout": 10, "local_infile": False, "init_command": _SETTLED},
    )
    event.listen(engine, "connect", _see_the_cluster)
    return engine


def _see_the_cluster(connection: Any, _record: Any) -> None:
    """A node of a Galera cluster answers only once it has what any other had committed before: a
    balancer gives each connection another node, whose locks and entries would be those of a moment
    ago."""
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
        if (found := cursor.fetchone()) and found[1] == "ON":
            cursor.execute("SET SESSION wsrep_sync_wait = 7")  # reads, updates and inserts


def _sqlite(url: URL) -> Engine:
    # A connection is an open file here; threads are what is limited, so none shall wait for one.
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=-1,
        connect_args={"check_same_thread": False, "timeout": SQLITE_SECONDS},
    )

    @event.listens_for(engine, "do_connect")
    def _private(*_arguments: Any) -> None:
        """A new file is its owner's alone; SQLite says at the first use what cannot be made."""
        with contextlib.suppress(OSError):
            path = Path(url.database or "")
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours
        for pragma in ("journal_mode=WAL", _PATIENT, "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_writing(connection: Connection) -> None:
    """A write takes the lock at once: one that read first could not go on to write later.

    It is waited for out here. While SQLite itself waits, whoever touches that connection stands
    still: the garbage collector does, in any thread, when it clears a cursor; in the thread that
    writes it would wait for the one that waits for it.
    """
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + SQLITE_SECONDS
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while not _began(connection, last=time.monotonic() > until):
            time.sleep(random.uniform(0.001, 0.01))
    finally:
        driver.execute(f"PRAGMA {_PATIENT}")


def _began(connection: Connection, *, last: bool) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as exc:
        # The low byte is the code; the rest says which kind of busy.
        if last or getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _refuse_unusable_values(context: ExceptionContext) -> None:
    """Drivers differ in what they raise for a value no column can hold; people get one sentence."""
    exc = context.original_exception
    if (
        isinstance(exc, OverflowError | UnicodeEncodeError)
        or isinstance(context.sqlalchemy_exception, DataError)
        or (isinstance(exc, ValueError) and "NUL" in str(exc))
    ):
        raise ValueDoesNotFit from exc
