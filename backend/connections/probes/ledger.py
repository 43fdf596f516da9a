"""The mount ledger's database: SELECT 1, the needed table with its columns, and the rights.

Rights are proven by statements that cannot match a row: the server checks rights and read-only
mode before it looks for rows, and nothing changes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    false,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from backend.connections import resolve
from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig
from backend.core import resolving
from backend.core.errors import PortalError, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from backend.integrations.mysql import errors as mysql_errors
from backend.integrations.network import Place
from backend.integrations.postgres import errors as postgres_errors

SYSTEM = "Mount ledger"
SCHEMA = "data/ledger_schema.sql"
#: MySQL's: a column without a default is given no value. Where a trigger gives it one, MySQL knows
#: with the row; where none does, it was said before.
_TRIGGER_GIVES = 1364
_GRANT = "Grant SELECT, INSERT and UPDATE on the table to this user."


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """Everything a mount needs from the ledger; raises UpstreamError and its kinds."""
    engine = _engine(resolve.url(config), deadline)
    try:
        with _translated(engine.url), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            version = _version(connection)
            if not engine.url.database:
                return Finding(
                    False,
                    version,
                    "the URL names no database",
                    "Add its name at the end, as in mysql+pymysql://user@host:3306/dms.",
                )
            return _table(connection, version)
    finally:
        engine.dispose()


def _table(connection: Connection, version: str) -> Finding:
    from backend.dms import shape, writable
    from backend.dms.schema import ledger, operation

    columns = inspect(connection)
    if not columns.has_table(ledger.name):
        if not columns.get_table_names():
            note = f"The database is empty; the first use makes table {ledger.name}."
            return Finding(server_version=version, warnings=(note,))
        return Finding(
            False,
            version,
            f"the database has no table {ledger.name}",
            f"Check the database's name in the URL, or create the table with {SCHEMA}.",
        )
    try:
        found = shape.find(columns)
    except shape.NotALedger as exc:
        return Finding(
            False,
            version,
            f"table {ledger.name} lacks {exc}",
            f"Bring it to the shape of {SCHEMA}, or of a DMS server's ledger.",
        )
    if names := writable.lacking(connection, found):
        return Finding(
            False,
            version,
            f"table {ledger.name} requires a value in {', '.join(names)}, and a mount gives none",
            "Let the column have a default or be NULL; until then nothing can be mounted.",
        )
    _prove_rights(connection, found.table)
    if columns.has_table(operation.name):  # the first mount makes it
        _prove_rights(connection, operation)
    return Finding(server_version=f"{version}, {found.name}")


def _prove_rights(connection: Connection, table: Any) -> None:
    """One transaction each: MySQL calls it a deadlock when a session that has read a table asks
    for more of it while somebody else waits to alter it."""
    names = [column.name for column in table.columns if column.name != "id"]
    nothing = select(*[table.c[name] for name in names]).where(false())
    for right, statement in (
        ("SELECT", select(table.c.host).limit(1)),
        ("UPDATE", update(table).where(false()).values(host=table.c.host)),
        ("INSERT", insert(table).from_select(names, nothing)),
    ):
        try:
            connection.execute(statement)
        except DBAPIError as exc:
            if _is_denied(exc):
                cause = f"this user has no {right} right on table {table.name}"
                raise UpstreamError(SYSTEM, cause, _GRANT) from exc
            if mysql_errors.number_of(exc.orig or exc) != _TRIGGER_GIVES:
                raise
        connection.rollback()


def _is_denied(exc: DBAPIError) -> bool:
    """By number: MySQL's 1142 and 1143, PostgreSQL's 42501."""
    code = getattr(exc.orig, "pgcode", None) or mysql_errors.number_of(exc.orig or exc)
    return code in (1142, 1143, "42501")


def _engine(url: str, deadline: float) -> Engine:
    try:
        parsed = make_url(url)
        return create_engine(
            parsed, poolclass=NullPool, connect_args=_deadlines(parsed, max(1, round(deadline / 2)))
        )
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as exc:
        raise UpstreamError(
            SYSTEM,
            "the URL cannot be read",
            "It looks like mysql+pymysql://user@host:3306/database.",
        ) from exc


def _deadlines(url: URL, seconds: int) -> dict[str, Any]:
    match url.get_backend_name():
        case "mysql" | "mariadb":
            return {
                "local_infile": False,
                "connect_timeout": seconds,
                "read_timeout": seconds,
                "write_timeout": seconds,
            }
        case "postgresql":
            pinned = resolving.addresses_of(url.host or "")[:1]
            return {
                **({"hostaddr": pinned[0]} if pinned else {}),
                "connect_timeout": seconds,
                "options": f"-c statement_timeout={seconds * 1000}",
            }
        case _:
            return {"timeout": seconds}


def _version(connection: Connection) -> str:
    name = {"mysql": "MySQL", "mariadb": "MariaDB", "postgresql": "PostgreSQL"}.get(
        connection.dialect.name, "SQLite"
    )
    if getattr(connection.dialect, "is_mariadb", False):
        name = "MariaDB"
    if name == "SQLite":
        return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
    if name == "PostgreSQL":
        return f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"
    return f"{name} {connection.scalar(text('SELECT VERSION()'))}"


@contextmanager
def _translated(url: URL) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as exc:
        raise _explained(exc, url) from exc


def _explained(exc: SQLAlchemyError, url: URL) -> PortalError:
    """The driver's error as a sentence, by the server's own numbers."""
    original = getattr(exc, "orig", None) or exc
    place = Place(url.host or "the server")
    match url.get_backend_name():
        case "mysql" | "mariadb":
            plain = "ssl_disabled" in url.query  # so `tls.with_trust` writes ssl_mode=disabled
            return mysql_errors.explain(original, SYSTEM, place, tls=mysql_errors.URL, plain=plain)
        case "postgresql":
            return postgres_errors.explain(original, SYSTEM, place)
        case _:
            return _of_a_file(original)


def _of_a_file(exc: BaseException) -> UpstreamError:
    """By SQLite's primary result code; above it are extended ones."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        return UpstreamError(SYSTEM, "the database is read-only", "Check the rights on the file.")
    if code == sqlite3.SQLITE_CANTOPEN:
        return UpstreamUnavailable(
            SYSTEM,
            "the file cannot be opened",
            "Check the path in the URL and the rights on its folder.",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UpstreamTimeout(SYSTEM, "another program holds the file's lock", "Try again.")
    return UpstreamError(SYSTEM, "the file is not a database that can be used", "Check the path.")
