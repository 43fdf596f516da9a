"""The mount ledger's database: SELECT 1, the needed table with its columns, and the rights.

Rights are proven by statements that cannot match a row: the server checks rights and read-only
mode before it looks for rows, and nothing changes.
"""

import socket
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
from backend.core.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable

SYSTEM = "Mount ledger"
SCHEMA = "data/ledger_schema.sql"
_GRANT = "Grant SELECT, INSERT and UPDATE on the table to this user."


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """Everything a mount needs from the ledger; raises UpstreamError and its kinds."""
    engine = _engine(resolve.url(config), deadline)
    try:
        with _translated(), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            version = _version(connection)
            return _table(connection, version)
    finally:
        engine.dispose()


def _table(connection: Connection, version: str) -> Finding:
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
    present = {column["name"] for column in columns.get_columns(ledger.name)}
    missing = [column.name for column in ledger.columns if column.name not in present]
    if missing:
        return Finding(
            False,
            version,
            f"table {ledger.name} lacks {', '.join(missing)}",
            f"Bring it to the shape of {SCHEMA}.",
        )
    _prove_rights(connection, ledger)
    if columns.has_table(operation.name):  # the first mount makes it
        _prove_rights(connection, operation)
    return Finding(server_version=version)


def _prove_rights(connection: Connection, table: Any) -> None:
    names = [column.name for column in table.columns if column.name != "id"]
    nothing = select(*[table.c[name] for name in names]).where(false())
    nobody = update(table).where(table.c.id.is_(None))
    for right, statement in (
        ("SELECT", select(table.c.id).limit(1)),
        ("UPDATE", nobody.values(host=table.c.host)),
        ("INSERT", insert(table).from_select(names, nothing)),
    ):
        try:
            connection.execute(statement)
        except DBAPIError as exc:
            raise _refused(exc, right, table.name) or _explained(exc) from exc
    connection.rollback()


def _refused(exc: DBAPIError, right: str, table: str) -> UpstreamError | None:
    said = str(exc.orig).lower()
    if any(mark in said for mark in _READ_ONLY):
        return UpstreamError(
            SYSTEM,
            "the database is read-only (a replica, or switched to read-only)",
            "Point the URL at the primary server.",
        )
    if "denied" in said:
        return UpstreamError(SYSTEM, f"this user has no {right} right on table {table}", _GRANT)
    return None


_READ_ONLY = ("read-only", "read only", "readonly")


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
                "connect_timeout": seconds,
                "read_timeout": seconds,
                "write_timeout": seconds,
            }
        case "postgresql":
            return {
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
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as exc:
        raise _explained(exc) from exc


def _explained(exc: SQLAlchemyError) -> UpstreamError:
    """The driver's error as a sentence; its own text may quote values and is not passed on."""
    original = getattr(exc, "orig", None) or exc
    said = f"{original} {original.__cause__ or ''} {original.__context__ or ''}".lower()
    if isinstance(original.__context__, socket.gaierror):
        said += " name or service not known"
    for mark, kind, cause, advice in _CAUSES:
        if mark in said:
            return kind(SYSTEM, cause, advice)
    return UpstreamError(
        SYSTEM,
        f"the database refused with {type(original).__name__}",
        "Look the time up in the database server's log.",
    )


_CHECK = "Check host and port in the URL, and that the server runs."
#: Marks in the drivers' texts, the most specific first.
_CAUSES: tuple[tuple[str, type[UpstreamError], str, str], ...] = (
    (
        "access denied for user",
        UpstreamError,
        "the user name or password was refused",
        "Set the URL's user and the password again.",
    ),
    (
        "password authentication failed",
        UpstreamError,
        "the user name or password was refused",
        "Set the URL's user and the password again.",
    ),
    (
        "no password supplied",
        UpstreamError,
        "it asks for a password and none is stored",
        "Set the password.",
    ),
    (
        "unknown database",
        UpstreamError,
        "that database does not exist on the server",
        "Check the end of the URL.",
    ),
    (
        "does not exist",
        UpstreamError,
        "that database or user does not exist on the server",
        "Check the URL.",
    ),
    ("command denied", UpstreamError, "this user lacks a right on the table", _GRANT),
    ("permission denied", UpstreamError, "this user lacks a right on the table", _GRANT),
    (
        "name or service not known",
        UpstreamUnavailable,
        "its host name is not known (DNS)",
        "Check the host name in the URL.",
    ),
    (
        "name resolution",
        UpstreamUnavailable,
        "its host name is not known (DNS)",
        "Check the host name in the URL.",
    ),
    (
        "could not translate host name",
        UpstreamUnavailable,
        "its host name is not known (DNS)",
        "Check the host name in the URL.",
    ),
    (
        "no address associated",
        UpstreamUnavailable,
        "its host name is not known (DNS)",
        "Check the host name in the URL.",
    ),
    (
        "certificate",
        UpstreamUnavailable,
        "its TLS certificate is not trusted",
        "Check the certificate and the ssl_ parameters of the URL.",
    ),
    ("connection refused", UpstreamUnavailable, "nothing listens at that host and port", _CHECK),
    ("timed out", UpstreamTimeout, "it did not answer in time", _CHECK),
    ("timeout", UpstreamTimeout, "it did not answer in time", _CHECK),
    (
        "unable to open database file",
        UpstreamUnavailable,
        "the file cannot be opened",
        "Check the path in the URL and the rights on its folder.",
    ),
    ("lost connection", UpstreamUnavailable, "the server closed the connection", _CHECK),
    ("can't connect", UpstreamUnavailable, "it cannot be reached", _CHECK),
    ("packet sequence", UpstreamError, "what answers there is not a database of this kind", _CHECK),
    (
        "too many connections",
        UpstreamUnavailable,
        "the server has no free connection",
        "Try again in a moment.",
    ),
)
