"""The state database: engine, sessions, column types.

Services take a session as their first argument and never commit; the edge (page call, API
request, CLI command, job) opens `read()` or `write()` and the latter commits once at its end.
On SQLite a write session begins IMMEDIATE, so check-then-act inside it holds the database's
lock; on PostgreSQL and MySQL use `with_for_update()` for the rows that are checked.
"""

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Concatenate, NewType, ParamSpec, TypeVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    ExceptionContext,
    Integer,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from backend.core import clock, database_file, sockets, sqlite_engine
from backend.core.errors import InvalidInput, PortalError, Waiting
from backend.core.log import get_logger

P = ParamSpec("P")
T = TypeVar("T")
log = get_logger(__name__)

ReadSession = NewType("ReadSession", Session)
WriteSession = NewType("WriteSession", ReadSession)
#: In a session's `info`: what `once` was answered.
_KNOWN = "known"

#: Every table is created with these on MySQL/MariaDB: URNs differ by case, so compare bytes.
MYSQL_TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}

#: A session there, whatever the server's own mode: what does not fit is an error, and is never
#: stored cut off; no row is hidden, and an UPDATE of many is not refused.
_SETTLED = (
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
    "sql_select_limit = 18446744073709551615, sql_safe_updates = 0"
)

#: Longer than a writer that waits takes to ask anew.
_GAP_SECONDS = 0.004
_LATER = "Nothing was changed; try again in a moment."

#: Primary keys: 64 bit everywhere, and SQLite's rowid alias so that it auto-increments.
BigId = BigInteger().with_variant(Integer, "sqlite")

#: What PostgreSQL (NUL) or any database (half a surrogate pair) does not take as text.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: Text without a practical end: MySQL's and MariaDB's own TEXT ends at 65,535 bytes.
LongText = Text().with_variant(Text(1_000_000), "mysql", "mariadb")


class StateDatabaseDown(PortalError):
    """The portal's own database cannot be reached or is locked; try again in a moment."""

    status = 503


class StateWriteUnknown(StateDatabaseDown):
    """The connection broke inside COMMIT: the server may have stored the change, or not."""

    status = 504

    def __init__(self) -> None:
        super().__init__(
            "The connection to the portal's own database broke while it stored this. Whether it "
            "did is not known; look before you try again."
        )


class StateDamaged(PortalError):
    """The file of the state database is not what SQLite wrote; its sentence says the way back."""

    status = 503


class ValueDoesNotFit(InvalidInput):
    """A value that no column can hold: a number beyond 64 bits, a NUL or half a character."""

    def __init__(self) -> None:
        super().__init__(
            "A value does not fit the database: a number is too large, a text too long, "
            "or it holds a NUL or a broken character. Correct it and try again."
        )


def storable(text: str) -> str:
    """Text of somebody else's (a log, an error) as every database takes it."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def findable(text: str) -> str:
    """Search text as rows hold it: folded, without what no database takes as text."""
    return UNSTORABLE.sub("", text).casefold()


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes, stored naive in UTC with microseconds; naive input is refused."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime may not be stored; use backend.core.clock.now()")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None else None


def database_now(session: "ReadSession") -> datetime:
    """The state database's own clock, aware UTC: what processes on several machines compare.

    SQLite has none of its own, and all that use it are on its machine.
    """
    dialect = session.get_bind().dialect.name
    if dialect == "sqlite":
        return clock.now()
    question = "utc_timestamp(6)" if dialect in ("mysql", "mariadb") else "clock_timestamp()"
    found: datetime = session.execute(text(f"SELECT {question}")).scalar_one()
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def once(session: ReadSession, ask: Callable[..., T], *arguments: Any) -> T:
    """`ask(session, *arguments)`; a unit of work that only reads asks for the same once."""
    known = session.info.get(_KNOWN)
    if known is None:
        return ask(session, *arguments)
    if (ask, arguments) not in known:
        known[ask, arguments] = ask(session, *arguments)
    found: T = known[ask, arguments]
    return found


class Base(DeclarativeBase):
    """Base of all tables. `__table_args__` of every table ends with MYSQL_TABLE."""


class Database:
    """One engine per process, and the two kinds of unit of work on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)
        self._write_engine = self.engine.execution_options(portal_write=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[ReadSession]:
        """A session that never commits, and what `once` knows to its end.

        Functions given to `after_close(session, …)` run after its end, when it was a good one.
        """
        session = Session(self.engine, expire_on_commit=False)
        session.info[_KNOWN] = {}
        try:
            with _translated(self.engine.url.database):
                yield ReadSession(session)
        finally:
            session.close()
        for callback in session.info.pop("after_close", []):
            callback()

    def ask(
        self, question: Callable[Concatenate[ReadSession, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """What `question` answers in a session of its own that never commits."""
        with self.read() as session:
            return question(session, *args, **named)

    @contextlib.contextmanager
    def write(self) -> Iterator[WriteSession]:
        """A session committed once at the end; rolled back when anything but `Waiting` raises.

        Raises StateWriteUnknown when the COMMIT was not answered, StateDatabaseDown when nothing
        was stored. Functions given to `after_commit(session, …)` run after a successful commit.
        """
        session = Session(self._write_engine, expire_on_commit=False)
        waiting: Waiting | None = None
        try:
            with _translated(self.engine.url.database):
                try:
                    yield WriteSession(ReadSession(session))
                except Waiting as exc:
                    waiting = exc  # the request that it speaks of is in this session
                session.flush()
                with _answered():
                    session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
        for callback in session.info.pop("after_commit", []):
            callback()
        if waiting is not None:
            raise waiting

    def change(
        self, work: Callable[Concatenate[WriteSession, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """What `work` answers in a session of its own, committed when it returns."""
        with self.write() as session:
            return work(session, *args, **named)

    def dispose(self) -> None:
        self.engine.dispose()


class Turns:
    """Short units of work one after another, with a gap for other writers between them.

    For work that has many: SQLite has one writer and no queue for it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ended = 0.0

    @contextlib.contextmanager
    def write(self) -> Iterator[WriteSession]:
        time.sleep(max(0.0, self._ended + _GAP_SECONDS - time.monotonic()))
        try:
            with self._database.write() as session:
                yield session
        finally:
            self._ended = time.monotonic()


def after_commit(session: WriteSession, callback: Callable[[], object]) -> None:
    """Run `callback` once the unit of work that owns `session` has committed (sending jobs)."""
    session.info.setdefault("after_commit", []).append(callback)


def after_close(session: ReadSession, callback: Callable[[], object]) -> None:
    """Run `callback` once a read session has given its connection back.

    Whoever holds a connection must never wait for a second one: with as many such waiting as the
    pool has connections, nobody would ever go on.
    """
    session.info.setdefault("after_close", []).append(callback)


#: SQLite's primary code, PostgreSQL's SQLSTATE, MariaDB's numbers → what is wrong with the
#: database: trying again does not help there.
_TROUBLES: dict[object, str] = {
    **dict.fromkeys(
        (sqlite3.SQLITE_FULL, "53100", 1021, 1114),
        "has no room left on its disk. Nothing was changed; make room there.",
    ),
    # A server that has become a replica, too.
    **dict.fromkeys(
        (sqlite3.SQLITE_READONLY, "25006", 1290, 1792, 1836),
        "is read-only (its file, its disk or its server). Nothing was changed; make it writable "
        "there.",
    ),
}


def _trouble(exc: DBAPIError) -> str | None:
    # mypy: psycopg2's errors have `pgcode`, PyMySQL's a number first
    said: Any = exc.orig
    if isinstance(said, sqlite3.Error):
        return _TROUBLES.get(getattr(said, "sqlite_errorcode", 0) & 0xFF)
    return _TROUBLES.get(getattr(said, "pgcode", None) or next(iter(said.args), None))


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """Around a COMMIT: without its answer nobody knows what became of it."""
    try:
        yield
    except DBAPIError as exc:
        if not exc.connection_invalidated:
            raise
        log.warning("A COMMIT of the state database was not answered.", reason=str(exc.orig))
        raise StateWriteUnknown from exc


@contextlib.contextmanager
def _translated(path: str | None = None) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as exc:
        log.warning("No connection to the state database became free.", reason=str(exc))
        raise StateDatabaseDown(f"The portal has too much to do right now. {_LATER}") from exc
    except DBAPIError as exc:
        trouble = _trouble(exc)
        if trouble is None and isinstance(exc, OperationalError):
            trouble = f"is not available right now. {_LATER}"
        if trouble is not None:
            log.warning("The state database refused a statement.", reason=str(exc.orig))
            raise StateDatabaseDown(f"The portal's own database {trouble}") from exc
        if database_file.is_damage(exc):
            raise StateDamaged(database_file.sentence(path, str(exc.orig))) from exc
        if exc.connection_invalidated:
            lost = f"The connection to the portal's own database was lost. {_LATER}"
            raise StateDatabaseDown(lost) from exc
        raise


def _refuse_unusable_values(context: ExceptionContext) -> None:
    """Drivers differ in what they raise for a value no column can hold; people get one sentence."""
    exc = context.original_exception
    if (
        isinstance(exc, OverflowError | UnicodeEncodeError)
        or isinstance(context.sqlalchemy_exception, DataError)
        or (isinstance(exc, ValueError) and "NUL" in str(exc))
    ):
        raise ValueDoesNotFit from exc


def make_engine(url: str) -> Engine:
    """An engine with the portal's rules for the dialect of `url`."""
    engine = _dialect_engine(url)
    event.listen(engine, "handle_error", _refuse_unusable_values)
    return engine


def _dialect_engine(url: str) -> Engine:
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return sqlite_engine.make(url, parsed.database)
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 20}
    options["isolation_level"] = "READ COMMITTED"  # whatever role or database have as their default
    if backend in ("mysql", "mariadb"):
        parsed = parsed.update_query_dict({"charset": "utf8mb4"})
        # A server may ask for any file of this machine; it gets none, whatever the URL says.
        arguments = {"connect_timeout": 10, "local_infile": False, "init_command": _SETTLED}
        engine = create_engine(parsed, pool_recycle=1800, connect_args=arguments, **options)
        event.listen(engine, "connect", _mysql_connected)
        return engine
    arguments = {"connect_timeout": 10, "options": "-c timezone=UTC", **sockets.LIBPQ}
    return create_engine(parsed, connect_args=arguments, **options)


def see_the_cluster(cursor: Any) -> None:
    """A session on a node of a Galera cluster gets its answers only once the node has what any
    other had committed before: a balancer gives each connection another node, which would not know
    yet who has just signed in, or what a run has just written."""
    cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
    if (found := cursor.fetchone()) and found[1] == "ON":
        cursor.execute("SET SESSION wsrep_sync_wait = 7")  # reads, updates and inserts


def _mysql_connected(connection: Any, _record: Any) -> None:
    sockets.notice_loss(connection._sock)
    with contextlib.closing(connection.cursor()) as cursor:
        see_the_cluster(cursor)


_lock = threading.Lock()
_databases: dict[str, Database] = {}


def get_database(url: str | None = None) -> Database:
    """The process's Database for `url` (default: the settings' one)."""
    if url is None:
        from backend.core.settings import get_settings

        url = get_settings().database_url
    with _lock:
        if url not in _databases:
            _databases[url] = Database(url)
        return _databases[url]


def forget_databases() -> None:
    """Close every engine (tests, and after a fork)."""
    with _lock:
        for database in _databases.values():
            database.dispose()
        _databases.clear()
