"""Bring the state database to the newest schema; several processes may start at once."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from backend.core.database import Database

_LOCK_NUMBER = 7_305_041
_LOCK_NAME = "steward_portal_migrations"


def upgrade(database: Database, *, revision: str = "head") -> None:
    """Run every missing migration under a lock of the database itself."""
    engine = database.engine.execution_options(portal_write=True)
    with engine.connect() as connection, _locked(connection):
        command.upgrade(_config(connection), revision)


def current(database: Database) -> str | None:
    """The revision the database is at, or None for an empty one."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def knows(revision: str) -> bool:
    """Whether this code has the migration; a newer portal's are unknown to an older one."""
    try:
        return ScriptDirectory(str(_folder())).get_revision(revision) is not None
    except CommandError:
        return False


def newest() -> str:
    """The newest revision this code knows."""
    return str(ScriptDirectory(str(_folder())).get_current_head())


def _folder() -> Path:
    return Path(__file__).parent


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """SQLite: BEGIN IMMEDIATE holds the file; the servers have named locks."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        yield
        connection.commit()
    elif dialect in ("mysql", "mariadb"):
        deadline = time.monotonic() + 120
        while not connection.execute(text("SELECT GET_LOCK(:n, 10)"), {"n": _LOCK_NAME}).scalar():
            if time.monotonic() > deadline:
                raise TimeoutError("another process has been migrating for two minutes")
        try:
            yield
            connection.commit()
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:n)"), {"n": _LOCK_NAME})
            connection.commit()
    else:
        with _without_foreign_keys(connection):
            connection.execute(text("SELECT 1"))
            yield
            connection.commit()


@contextlib.contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite changes most of a table by making it anew; dropping the old one must not delete what
    refers to it. It takes this switch outside of a transaction only, so past SQLAlchemy's BEGIN.
    """
    raw: Any = connection.connection.driver_connection
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()  # nothing is open after a commit; after an error the change is
        raw.execute("PRAGMA foreign_keys=ON")
