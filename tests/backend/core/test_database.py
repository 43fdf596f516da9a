"""Units of work, times and locks on all three databases."""

import contextlib
import itertools
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.core import audit, secret_store, sqlite_engine
from backend.core import database as core_database
from backend.core.access import SYSTEM
from backend.core.database import (
    Database,
    ReadSession,
    StateDatabaseDown,
    ValueDoesNotFit,
    after_close,
    after_commit,
    once,
)
from backend.migrations import runner
from backend.models import Lease
from backend.models.jobs import JobLine
from tests.fixtures.database import copy_of_migrated
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer

AT = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


class TestWrite:
    def test_times_come_back_aware_and_to_the_microsecond(self, any_database: Database) -> None:
        with any_database.write() as session:
            session.add(Lease(name="a", holder="x", expires_at=AT))
        with any_database.read() as session:
            assert session.scalars(select(Lease.expires_at)).one() == AT

    def test_a_naive_time_is_refused(self, any_database: Database) -> None:
        from sqlalchemy.exc import StatementError

        with pytest.raises(StatementError, match="naive"), any_database.write() as session:
            session.add(Lease(name="a", holder="x", expires_at=AT.replace(tzinfo=None)))

    @pytest.mark.parametrize(("job_id", "line"), [(2**70, "x"), (1, "half a \ud800 character")])
    def test_a_value_that_no_column_holds_is_refused_in_a_sentence(
        self, any_database: Database, job_id: int, line: str
    ) -> None:
        with pytest.raises(ValueDoesNotFit), any_database.write() as session:
            session.add(JobLine(job_id=job_id, at=AT, line=line))

    def test_a_lenient_server_cuts_nothing_off(self, own_mariadb_server: MariaDBServer) -> None:
        """Without a strict sql_mode MySQL and MariaDB store the beginning of what is too long."""
        server = own_mariadb_server
        with contextlib.closing(server.connect()) as admin, admin.cursor() as cursor:
            cursor.execute("SET GLOBAL sql_mode = ''")
            try:
                database = Database(server.url(server.create_database()))
                Lease.__table__.create(database.engine)
                with pytest.raises(ValueDoesNotFit), database.write() as session:
                    session.add(Lease(name="n" * 5_000, holder="x", expires_at=AT))
                with database.read() as session:
                    assert session.scalars(select(Lease.name)).all() == []
                database.dispose()
            finally:
                cursor.execute("SET GLOBAL sql_mode = DEFAULT")

    def test_a_row_number_beyond_64_bits_is_nobodys(self, any_database: Database) -> None:
        with any_database.read() as session, contextlib.suppress(ValueDoesNotFit):
            assert session.get(JobLine, 2**70) is None

    def test_callbacks_run_after_commit_only(self, any_database: Database) -> None:
        seen: list[int] = []
        with any_database.write() as session:
            after_commit(session, lambda: seen.append(1))
            assert seen == []
        assert seen == [1]
        with pytest.raises(RuntimeError), any_database.write() as session:
            after_commit(session, lambda: seen.append(2))
            raise RuntimeError
        assert seen == [1]

    def test_what_follows_a_read_has_its_connection_free(self, any_database: Database) -> None:
        free: list[bool] = []
        with any_database.read() as session:
            session.scalars(select(Lease.name)).all()
            after_close(session, lambda: free.append(any_database.engine.pool.checkedout() == 0))
            assert free == []
        with pytest.raises(KeyError), any_database.read() as session:
            after_close(session, lambda: free.append(False))
            raise KeyError
        assert free == [True]

    def test_one_question_in_a_session_of_its_own(self, database: Database) -> None:
        def work(session: ReadSession, name: str, *, holder: str) -> str:
            session.add(Lease(name=name, holder=holder, expires_at=AT))
            session.flush()
            return holder

        assert database.ask(work, "asked", holder="a") == "a"
        assert database.change(work, "changed", holder="b") == "b"
        with database.read() as session:
            kept = set(session.scalars(select(Lease.name)))
        assert "changed" in kept
        assert "asked" not in kept

    def test_no_connection_left_is_a_kind_error(self, any_database: Database) -> None:
        pool = any_database.engine.pool
        with pytest.raises(StateDatabaseDown, match="too much to do"), any_database.read():
            raise PoolTimeout(f"QueuePool limit of {pool} reached")

    def test_names_differ_by_case_and_accept_any_letter(self, any_database: Database) -> None:
        with any_database.write() as session:
            for name in ("Name", "name", "naïve-名前-😀"):
                session.add(Lease(name=name, holder="x", expires_at=AT))
        with any_database.read() as session:
            assert set(session.scalars(select(Lease.name))) == {"Name", "name", "naïve-名前-😀"}

    def test_many_writers_make_one_unbroken_audit_chain(self, any_database: Database) -> None:
        def write() -> None:
            for number in range(10):
                with any_database.write() as session:
                    audit.record(session, SYSTEM, "a:b:c", subject=str(number))

        threads = [threading.Thread(target=write) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with any_database.read() as session:
            assert audit.verify(session) == audit.Verification(True, 50, None)


def test_what_only_reads_asks_for_the_same_once(database: Database) -> None:
    asked: list[str] = []

    def ask(_session: ReadSession, what: str) -> int:
        asked.append(what)
        return len(asked)

    with database.read() as session:
        assert [once(session, ask, what) for what in "aab"] == [1, 1, 2]
    with database.read() as session:
        assert once(session, ask, "a") == 3
    with database.write() as session:
        assert [once(session, ask, "a"), once(session, ask, "a")] == [4, 5], "it may have written"


class TestFiles:
    def test_nobody_else_on_the_machine_can_read_the_database(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/new/portal.sqlite")
        runner.upgrade(database)
        files = sorted((tmp_path / "new").iterdir())
        assert [file.name for file in files] == [
            "portal.sqlite",
            "portal.sqlite-shm",
            "portal.sqlite-wal",
        ]
        assert {file.stat().st_mode & 0o077 for file in files} == {0}
        database.dispose()


class TestDown:
    def test_a_database_that_is_away_is_a_kind_error(self) -> None:
        gone = Database("postgresql+psycopg2://nobody:x@127.0.0.1:1/x")
        with pytest.raises(StateDatabaseDown, match="not available"), gone.read() as session:
            session.execute(select(Lease))


class TestBusySqlite:
    """SQLite has one writer at a time; these hold the file from a connection of their own."""

    def test_a_write_begins_as_soon_as_the_other_ends(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = str(database.engine.url.database)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        asked, began = [], sqlite_engine._began

        def asking(connection: Any, *, last: bool) -> bool:
            asked.append(last)
            if len(asked) == 3:
                holder.execute("COMMIT")
            return began(connection, last=last)

        monkeypatch.setattr(sqlite_engine, "_began", asking)
        with database.write() as session:
            session.execute(text("DELETE FROM leases"))
            (left,) = session.execute(text("PRAGMA busy_timeout")).one()
        holder.close()
        assert asked == [False, False, False], "twice in vain, then at once"
        assert left == sqlite_engine.BUSY_SECONDS * 1000, "as statements after it need it"

    def test_what_stays_locked_is_an_error_in_the_end(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        holder = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(
            core_database, "time", SimpleNamespace(monotonic=itertools.count(0, 6).__next__)
        )
        with pytest.raises(StateDatabaseDown, match="not available"), database.write() as session:
            session.execute(text("DELETE FROM leases"))
        holder.close()


def test_a_full_disk_is_named(database: Database) -> None:
    with pytest.raises(StateDatabaseDown, match="no room left"), database.write() as session:
        # No page more than there are, for this connection: SQLite says the same of a full disk.
        session.connection().exec_driver_sql("PRAGMA max_page_count = 1")
        session.add(JobLine(job_id=1, at=AT, line="x" * 100_000))
    database.dispose()
    with database.read() as session:
        assert session.scalars(select(JobLine.line)).all() == []


class _DiskFull(Exception):
    """As psycopg2 tells: the SQLSTATE beside the words."""

    pgcode = "53100"


@pytest.mark.parametrize(
    ("said", "full"),
    [
        (_DiskFull('could not extend file "base/5/16384": No space left on device'), True),
        (Exception(1021, "Disk full (/tmp/#sql-1); waiting for someone to free some space"), True),
        (Exception(1114, "The table 'jobs' is full"), True),
        (Exception(1205, "Lock wait timeout exceeded"), False),
        (Exception(), False),
    ],
)
def test_servers_whose_disk_is_full_are_understood_by_number(said: Exception, full: bool) -> None:
    match = "no room left" if full else "not available"
    with pytest.raises(StateDatabaseDown, match=match), core_database._translated():
        raise OperationalError("INSERT", {}, said)


def test_a_file_that_is_read_only_is_named(database: Database) -> None:
    with pytest.raises(StateDatabaseDown, match="is read-only"), database.write() as session:
        session.connection().exec_driver_sql("PRAGMA query_only = 1")
        session.add(JobLine(job_id=1, at=AT, line="x"))


@pytest.mark.parametrize("number", [1290, 1792, 1836])
def test_a_mariadb_that_is_read_only_is_named(number: int) -> None:
    with pytest.raises(StateDatabaseDown, match="is read-only"), core_database._translated():
        raise OperationalError("INSERT", {}, Exception(number, "read only"))


def test_a_postgresql_that_has_become_a_replica_is_named(
    data_dir: Path, postgres_server: PostgresServer, migrated: dict[str, str]
) -> None:
    database = Database(postgres_server.url(copy_of_migrated(postgres_server, migrated)))
    with pytest.raises(StateDatabaseDown, match="is read-only"), database.write() as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        session.add(JobLine(job_id=1, at=AT, line="x"))
    database.dispose()


class TestOfOthersDefaults:
    """What a database's own defaults say is not what the portal's transactions rely on."""

    @pytest.mark.parametrize("level", ["repeatable read", "serializable"])
    def test_writers_wait_for_each_other_whatever_isolation_is_the_default(
        self, data_dir: Path, postgres_server: PostgresServer, migrated: dict[str, str], level: str
    ) -> None:
        name = copy_of_migrated(postgres_server, migrated)
        database = Database(postgres_server.url(name))
        secret_store.ensure(database, secret_store.get_vault())
        with database.engine.begin() as connection:
            connection.execute(
                text(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{level}'")
            )
        database.dispose()  # it counts from the next connection on
        both = threading.Barrier(2)
        failed: list[Exception] = []

        def write(number: int) -> None:
            try:
                for _ in range(20):
                    both.wait(60)
                    with database.write() as session:
                        audit.record(session, SYSTEM, "test:thing:do", subject=f"by {number}")
            except Exception as exc:
                failed.append(exc)
                both.abort()

        threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        database.dispose()
        postgres_server.drop_database(name)
        assert failed == []
