"""The connection pool of a ledger's database, with the rules that each kind of server needs."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pymysql.constants import CLIENT
from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    ExceptionContext,
    Executable,
    create_engine,
    event,
)
from sqlalchemy.exc import DataError


class ValueDoesNotFit(Exception):
    """A value that no column can hold: a number beyond 64 bits, a NUL or half a character."""

    def __init__(self) -> None:
        super().__init__(
            "A value does not fit the database: a number is too large, a text too long, "
            "or it holds a NUL or a broken character. Correct it and try again."
        )


class Prepared:
    """A statement in the driver's own words, compiled once. Its parameters are bindparam()s."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # all have it
        self.text: str = compiled.string
        self._given: dict[str, Any] = dict(compiled.params)
        self._order: list[str] | None = compiled.positiontup

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The driver's parameters; those that the statement does not have are passed over."""
        named = {**self._given, **values}
        if self._order is None:
            return {name: named[name] for name in self._given}
        return tuple([named[name] for name in self._order])


class Done(NamedTuple):
    """What a statement did. Rows are as the driver gives them, without SQLAlchemy's types."""

    rows: Sequence[Any]
    rowcount: int


def run(connection: Connection, *steps: tuple[Prepared, Mapping[str, Any]]) -> list[Done]:
    """Execute the statements one after the other; PyMySQL sends them in one packet, for each is a
    round trip that a mount waits for. The first that fails ends it, with SQLAlchemy's error."""
    found: list[Done] = []
    joined = connection.dialect.driver == "pymysql"
    try:
        cursor: Any = connection.connection.cursor()
        for packet in [steps] if joined else [(step,) for step in steps]:
            values = [prepared.bound(given) for prepared, given in packet]
            text = ";".join([prepared.text for prepared, _ in packet])
            cursor.execute(text, values[0] if len(values) == 1 else [*chain(*values)])
            found.append(_done(cursor))
            for _ in packet[1:]:
                cursor.nextset()
                found.append(_done(cursor))
        cursor.close()
    except BaseException as exc:
        # SQLAlchemy reads no second result, but knows what each error means for the pool.
        connection.exec_driver_sql("", execution_options={"failed": exc})
        raise
    return found


def _raise_failed(_cursor: Any, _statement: str, _parameters: Any, context: Any) -> None:
    """Where SQLAlchemy executes: what failed in `run` fails here."""
    if failed := context.execution_options.get("failed"):
        raise failed


def _done(cursor: Any) -> Done:
    return Done(cursor.fetchall() if cursor.description else (), cursor.rowcount)


def open_engine(url: URL) -> Engine:
    """A pool whose sessions speak UTC; drivers' refusals of a value raise ValueDoesNotFit."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        engine = _sqlite(url)
    elif backend in ("mysql", "mariadb"):
        flags = int(str(url.query.get("client_flag", 0))) | CLIENT.MULTI_STATEMENTS  # for `run`
        engine = _mysql(url.update_query_dict({"charset": "utf8mb4", "client_flag": str(flags)}))
    else:
        arguments = {"connect_timeout": 10, "options": "-c timezone=UTC"}
        engine = _pool(url, connect_args=arguments)
    event.listen(engine, "handle_error", _refuse_unusable_values)
    event.listen(engine, "do_execute", _raise_failed)
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
        connect_args={"connect_timeout": 10, "local_infile": False},
    )

    @event.listens_for(engine, "connect")
    def _utc(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")

    return engine


def _sqlite(url: URL) -> Engine:
    # A connection is an open file here; threads are what is limited, so none shall wait for one.
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=-1,
        connect_args={"check_same_thread": False, "timeout": 15},
    )

    @event.listens_for(engine, "do_connect")
    def _private(*_arguments: Any) -> None:
        """A new file is its owner's alone; SQLite says at the first use what cannot be made."""
        with contextlib.suppress(OSError):
            path = Path(url.database or "")
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, see _begin
        for pragma in ("journal_mode=WAL", "busy_timeout=15000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        write = connection.get_execution_options().get("ledger_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _refuse_unusable_values(context: ExceptionContext) -> None:
    """Drivers differ in what they raise for a value no column can hold; people get one sentence."""
    exc = context.original_exception
    if (
        isinstance(exc, OverflowError | UnicodeEncodeError)
        or isinstance(context.sqlalchemy_exception, DataError)
        or (isinstance(exc, ValueError) and "NUL" in str(exc))
    ):
        raise ValueDoesNotFit from exc
