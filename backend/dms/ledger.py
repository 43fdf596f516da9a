"""The ledger's database: transactions that survive deadlocks, and the ledger's own reads.

Works on MySQL/MariaDB, PostgreSQL and SQLite. Times of entries are naive UTC, as the table holds
them and as scripts written for the original client expect.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    event,
    false,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from . import entries, schema, shape
from .database_errors import (
    created_by_another,
    died_idle,
    explained,
    is_deadlock,
    is_gone,
    is_passing,
    translated,
    unusable,
)
from .engine import WRITES, ValueDoesNotFit, open_engine
from .entries import LedgerEntry
from .errors import DatabaseException
from .prepared import raise_failed

T = TypeVar("T")

log = logging.getLogger(__name__)

SCHEMA_FILE = Path(__file__).with_name("ledger_schema.sql")
MAX_ACTIVE = 10_000
READ_TIMEOUT = 60
_COLLIDING_SECONDS = 20.0


def _check_folder(file: str) -> None:
    """A path with a slip is told from a new file by its folder."""
    folder = Path(file).absolute().parent
    if not file.startswith("file:") and not folder.is_dir():
        raise DatabaseException(
            f"There is no folder {folder} for the ledger's file. Correct its address, or make the "
            "folder first."
        )


class Ledger:
    """One engine on the ledger's database; safe from many threads."""

    def __init__(self, url: str, *, new: bool = False) -> None:
        """Connect and check that the table is there.

        An entirely empty database gets the table, and so does a new SQLite file in a folder that is
        there; a warning tells of it, as the address may have a slip, unless one that is `new` was
        asked for. Raises DatabaseException naming what is wrong.
        """
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() in ("mysql", "mariadb"):
                limits = {"read_timeout": str(READ_TIMEOUT), "write_timeout": str(READ_TIMEOUT)}
                parsed = parsed.update_query_dict({**limits, **parsed.query})
            if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
                raise DatabaseException(
                    "The ledger's address names no file, and a ledger in memory is lost with its "
                    "client; it looks like sqlite:////folder/ledger.sqlite."
                )
            if parsed.get_backend_name() == "sqlite":
                _check_folder(parsed.database or "")
            self.address = parsed.render_as_string(hide_password=True).split("?")[0]
            self.engine = open_engine(parsed)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as exc:
            raise DatabaseException(
                "The ledger's address cannot be read; it looks like "
                "mysql+pymysql://user:password@host:3306/database."
            ) from exc
        self.dialect = self.engine.dialect.name
        event.listen(self.engine, "do_execute", raise_failed)
        self._writer = self.engine.execution_options(**{WRITES: True})
        self._operations_ready = False
        self._lock = threading.Lock()
        try:
            self._check(new)
        except TypeError as exc:  # a driver's connect() does not know an option of the address
            self.engine.dispose()
            raise DatabaseException(
                f"The ledger's address {self.address} carries an option that its driver does not "
                f"know ({str(exc).rpartition('argument ')[2]}); take it out of the part after ?."
            ) from exc
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        self.engine.dispose()

    # -- transactions ---------------------------------------------------------------------------

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection that changes nothing."""
        with translated(self.address):
            try:
                with self.engine.connect() as connection:
                    return work(connection)
            except DBAPIError as exc:
                if not died_idle(exc):
                    raise
            with self.engine.connect() as connection:
                return work(connection)

    def write(self, work: Callable[[Connection], T], *, patience: float = 0.0) -> T:
        """Run `work` in one transaction; repeated after a deadlock.

        patience: for how many seconds what passes is waited for: a database that is away, fails
        over and is read-only meanwhile, or is full. `work` must recognise its own earlier success:
        a commit whose answer was lost is repeated too. Raises DatabaseException, with the outcome
        "unknown" after such a commit.
        """
        started, doubtful = time.monotonic(), False
        for attempt in range(1, 1_000_000):
            committing = False
            try:
                with self._writer.begin() as connection:
                    done = work(connection)
                    committing = True
                return done
            except ValueDoesNotFit as exc:
                raise unusable(exc) from exc
            except DBAPIError as exc:
                doubtful |= committing and is_gone(exc)
                spent = time.monotonic() - started
                again = (
                    (is_deadlock(exc) and spent < _COLLIDING_SECONDS)
                    or (is_passing(exc) and spent < patience)
                    or (died_idle(exc) and attempt == 1)
                )
                if not again:
                    raise explained(exc, self.address, doubtful=doubtful) from exc
                # From zero on, so that two clients that collided do not meet again in step.
                time.sleep(random.uniform(0.0, min(0.02 * 2**attempt, 1.0)))
        raise AssertionError("unreachable")

    def now(self, seconds: float = 0.0, *, whole: bool = False) -> Any:
        return schema.now(self.dialect, seconds, whole=whole)

    def exactly(self, column: Column[Any], *values: str) -> ColumnElement[bool]:
        """`column` holds one of `values` byte for byte, whatever the database's collation."""
        text = self.shape.texts.get(column.name) if column.table is self.shape.table else None
        held = [value for value in values if text is None or text.takes(value)]
        return schema.exactly(self.dialect, column, *held) if held else false()

    def spelling(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """`column` as something that compares and groups byte by byte."""
        return schema.spelling(self.dialect, column)

    @property
    def t(self) -> Any:
        """The columns of the ledger's table, in the shape it has."""
        return self.shape.table.c

    @property
    def indexes(self) -> frozenset[str]:
        return self.shape.indexes

    def entry(self) -> Select[Any]:
        """SELECT of whole entries, for `entries.read`."""
        return select(*self.shape.selected())

    def entries(self, query: Select[Any]) -> list[LedgerEntry]:
        """What `query`, made from `entry`, finds."""
        return self.read(lambda c: [entries.read(row) for row in c.execute(query)])

    def hinted(self, query: Select[Any], index: str) -> Select[Any]:
        """`query` bound to `index` where the optimiser would choose a worse one."""
        return self.forced(query, index) if index in self.indexes else query

    def forced(self, query: Select[Any], index: str) -> Select[Any]:
        """`query` bound to an index that every shape of the table has."""
        for name in ("mysql", "mariadb"):
            query = query.with_hint(self.shape.table, f"FORCE INDEX ({index})", name)
        return query

    # -- tables ---------------------------------------------------------------------------------

    def _check(self, new: bool) -> None:
        with translated(self.address):
            found = inspect(self.engine)
            if not found.has_table(schema.LEDGER_NAME):
                if found.get_table_names():
                    raise DatabaseException(
                        f"{self.address} has other tables but no {schema.LEDGER_NAME}. Load "
                        "ledger_schema.sql there, or check that this is the right database."
                    )
                self._create_ledger()
                level = logging.INFO if new else logging.WARNING  # seen without any set-up
                log.log(level, "%s was empty; a new, empty ledger is there now.", self.address)
                found = inspect(self.engine)
            try:
                self.shape = shape.find(found)
            except shape.NotALedger as exc:
                raise DatabaseException(
                    f"{schema.LEDGER_NAME} at {self.address} lacks the columns {exc}; compare it "
                    "with ledger_schema.sql."
                ) from exc

    def _create_ledger(self) -> None:
        with created_by_another(self.address), self._writer.begin() as connection:
            if self.dialect in ("mysql", "mariadb"):
                connection.execute(text(SCHEMA_FILE.read_text(encoding="utf-8")))
            else:
                schema.ledger.create(connection)

    def ensure_operations(self) -> None:
        """Make sure that `dms_operation` exists; created where the user may.

        Raises DatabaseException with the way out where it is missing and may not be created.
        """
        with self._lock:
            if self._operations_ready:
                return
            with translated(self.address):
                if not inspect(self.engine).has_table(schema.OPERATION_NAME):
                    self._create_operations()
            self._operations_ready = True

    def has_operations(self) -> bool:
        """Whether `dms_operation` exists (nobody has mounted through this client before if not)."""
        if not self._operations_ready:
            with translated(self.address):
                self._operations_ready = inspect(self.engine).has_table(schema.OPERATION_NAME)
        return self._operations_ready

    def _create_operations(self) -> None:
        try:
            with created_by_another(self.address), self._writer.begin() as connection:
                schema.operation.create(connection)
        except DatabaseException as exc:
            raise DatabaseException(
                f"Mounting needs the table {schema.OPERATION_NAME} beside the ledger at "
                f"{self.address}, and this user may not create it. Ask its administrator to load "
                f"what `python -m {__package__}.ddl "
                f"{self.dialect.replace('mariadb', 'mysql')} {schema.OPERATION_NAME}` prints."
            ) from exc

    # -- reads ----------------------------------------------------------------------------------

    def status(self, jobid: int, backup_target_id: str) -> LedgerEntry | None:
        """The job's mount of the target: the one that is mounted, else the newest."""
        entries.check(job_id=jobid, backup_target_id=backup_target_id)
        t = self.t
        query = (
            self.entry()
            .where(
                t.jobid == jobid,
                self.exactly(t.backup_target_id, backup_target_id),
                self.shape.flag("deleted", False),
            )
            .order_by(t.mounted.is_(None), t.mounted.desc(), *self.shape.order(newest_first=True))
            .limit(1)
        )
        found = self.entries(self.hinted(query, "idx_job_target"))
        return found[0] if found else None

    def active(
        self, host: str | None, backup_target_id: str | None, limit: int = MAX_ACTIVE
    ) -> list[LedgerEntry]:
        """Mounted entries, oldest first, at most `limit`; one per job, target and host."""
        entries.check(host=host or "", backup_target_id=backup_target_id or "", limit=limit)
        query = self.entry().where(
            self.shape.flag("mounted", True), self.shape.flag("deleted", False)
        )
        if host is not None:
            query = query.where(self.exactly(self.t.host, host))
        if backup_target_id is not None:
            query = query.where(self.exactly(self.t.backup_target_id, backup_target_id))
        query = self.hinted(query, "idx_mounted_host")
        query = query.order_by(*self.shape.order(newest_first=False)).limit(limit)
        return entries.distinct(self.entries(query))

    def history(self, backup_target_id: str, limit: int) -> list[LedgerEntry]:
        """Entries of a target, newest first, deleted ones included; one per job and host.

        What one of them went through is in `dms_operation`.
        """
        entries.check(backup_target_id=backup_target_id, limit=limit)
        wanted = self.exactly(self.t.backup_target_id, backup_target_id)
        query = self.entry().where(wanted)
        if self.shape.has_id:  # rows that earlier versions doubled: the newest speaks for them
            twin = self.shape.table.alias("twin")
            newer = select(twin.c.id).where(
                twin.c.jobid == self.t.jobid,
                twin.c.backup_target_id == self.t.backup_target_id,
                schema.spelling(self.dialect, twin.c.backup_target_id)
                == schema.spelling(self.dialect, self.t.backup_target_id),
                schema.spelling(self.dialect, twin.c.host)
                == schema.spelling(self.dialect, self.t.host),
                or_(
                    (twin.c.id > self.t.id) & (twin.c.mounted == self.t.mounted),
                    twin.c.mounted > self.t.mounted,
                ),
            )
            query = query.where(~newer.exists())
        query = self.hinted(query, "idx_backup_target_id")
        return self.entries(query.order_by(*self.shape.order(newest_first=True)).limit(limit))

    # -- soft delete ----------------------------------------------------------------------------

    def soft_delete(self, jobid: int, backup_target_id: str) -> bool:
        """Mark the job's entries of the target deleted.

        False when there is none, when one is still mounted, or while an operation runs on it.
        """
        entries.check(job_id=jobid, backup_target_id=backup_target_id)
        self.ensure_operations()
        tried = False

        def work(connection: Connection) -> bool:
            nonlocal tried
            found = self._soft_delete(connection, jobid, backup_target_id)
            if found is None:
                return tried  # by an earlier try, whose commit was not answered
            tried = tried or found
            return found

        return self.write(work)

    def _soft_delete(
        self, connection: Connection, jobid: int, backup_target_id: str
    ) -> bool | None:
        """None: there is none that is not deleted."""
        t, o = self.t, schema.operation.c
        mine = (
            t.jobid == jobid,
            self.exactly(t.backup_target_id, backup_target_id),
            self.shape.flag("deleted", False),
        )
        rows = connection.execute(select(t.mounted).where(*mine).with_for_update()).all()
        running = connection.execute(
            select(o.id).where(
                o.jobid == jobid,
                self.exactly(o.backup_target_id, backup_target_id),
                or_(o.pair_lock.is_not(None), o.state == "unknown"),
                o.action == "mount",
            )
        ).first()
        if not rows:
            return None
        if running or any(row.mounted for row in rows):
            return False
        connection.execute(
            update(self.shape.table)
            .where(*mine)
            .values(deleted=True, deleted_at=self.now(whole=True), updated_at=self.now(whole=True))
        )
        return True
