"""SQLite as the state database: one writer at a time, and a file that is its owner's alone."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError

#: How long a write waits for SQLite's one writer; it asks every 1 and 2 ms in turn.
BUSY_SECONDS = 15
_ASK_MS = 3


def make(url: str, path: str | None) -> Engine:
    # A connection is an open file here; threads are what is limited, so none shall wait for one.
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=-1,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "do_connect")
    def _first(*_arguments: Any) -> None:
        if path and path != ":memory:":
            _private_file(Path(path))  # not before: looking whether there is a state makes none

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, see _begin
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "foreign_keys=ON",
            "synchronous=NORMAL",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("portal_write", False):
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_writing(connection: Any) -> None:
    """BEGIN IMMEDIATE, asked for again every few milliseconds while another writer is at work.

    SQLite has no queue for its one writer: its own handler soon asks every 100 ms only, and misses
    each shorter gap between the transactions of somebody who writes much, for seconds.
    The ledger (`backend.dms.engine`) does alike by itself: it is installed without the portal.
    """
    driver = connection.connection.driver_connection
    (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
    until = time.monotonic() + patience / 1000
    driver.execute(f"PRAGMA busy_timeout={_ASK_MS}")
    try:
        while not _began(connection, last=time.monotonic() > until):
            pass
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience}")


def _began(connection: Any, *, last: bool) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as exc:
        # The low byte is the code; the rest says which kind of busy.
        if last or getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _private_file(path: Path) -> None:
    """A new database is its owner's alone; SQLite gives the log beside it the same rights.

    An existing file is not opened here: closing it would drop this process's locks on it. What
    cannot be made is said by SQLite at the first use.
    """
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
