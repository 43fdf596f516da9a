"""What is said to SQLite itself: a consistent copy, a lock against everybody, a look inside."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.backup.errors import NotSqlite, PortalRuns
from backend.core.database import Database

#: Seconds that another command on the same file may still need.
PATIENCE = 3.0


@dataclass(frozen=True)
class Contents:
    revision: str
    key_id: str
    audit_events: int


def path_of(database: Database) -> Path:
    """Where the state database lies; raises NotSqlite when it is a server's."""
    url = database.engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        raise NotSqlite(url.get_backend_name())
    return Path(url.database)


def holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def copy(database: Database, target: Path) -> None:
    """One consistent copy, while others read and write; a single file without a log beside it."""
    pooled = database.engine.raw_connection()
    try:
        with _opened(target) as connection:
            # mypy: a connection from the pool has its driver connection
            pooled.driver_connection.backup(connection)  # type: ignore[union-attr]
            connection.execute("PRAGMA journal_mode=DELETE")
    finally:
        pooled.close()


def inspect(path: Path) -> Contents:
    """What a state database says about itself. Raises ValueError when it is none or is damaged."""
    try:
        with _opened(path) as connection:
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
            if found != "ok":
                raise ValueError(f"its database is damaged: {found}")
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            (key_id,) = connection.execute(
                "SELECT key_id FROM system_secrets WHERE name = 'canary'"
            ).fetchone()
            (events,) = connection.execute("SELECT count FROM audit_head").fetchone()
    except (sqlite3.DatabaseError, TypeError) as exc:
        raise ValueError(f"its database cannot be read: {exc}") from exc
    return Contents(revision, key_id, events)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection while nobody else has the file open, nor can open it until the block ends.

    Every process of the portal keeps a connection, and with it a shared lock, for as long as it
    runs; the lock dies with the process, so nothing stale can stand in the way.
    Raises PortalRuns.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))  # a new one is its owner's alone
    with _opened(path) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.OperationalError as exc:
            raise PortalRuns(f"Something still uses {path}.") from exc
        yield connection


def put(source: Path, target: sqlite3.Connection) -> None:
    """Replace the target's content in one transaction: afterwards it is all old or all new."""
    with _opened(source) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.backup(target)


def keep(source: sqlite3.Connection, target: Path) -> None:
    """A copy of the database that is about to be replaced."""
    with _opened(target) as connection:
        source.backup(connection)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
