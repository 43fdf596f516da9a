"""Putting a backup back: all of it or nothing, and nothing old comes back to life."""

import sqlite3
import subprocess
import sys
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from backend.accounts import service as accounts
from backend.accounts import sessions
from backend.backup import restoring, service
from backend.backup.errors import (
    BackupFailed,
    NewerBackup,
    NotABackup,
    PortalRuns,
    StateExists,
    WrongKey,
)
from backend.core import audit, clock, secret_store, startup
from backend.core.access import SYSTEM, Role
from backend.core.database import Database, get_database
from backend.core.errors import InvalidInput
from backend.jobs import schedule
from backend.jobs import service as jobs
from backend.migrations import runner
from backend.models.jobs import Lease
from tests.backend.backup.conftest import Backup, job_in, keys_in, restored


def _record(database: Database, times: int = 1) -> None:
    for _ in range(times):
        with database.write() as session:
            audit.record(session, SYSTEM, "tests:thing:do", subject="x")


def _events(database: Database) -> int:
    with database.read() as session:
        return session.query(audit.AuditEvent).count()


def _lease(database: Database, lasts: timedelta) -> None:
    with database.write() as session:
        until = clock.now() + lasts
        session.merge(Lease(name="scheduler", holder="host-7:123:x", expires_at=until))


def _put_elsewhere(backup, elsewhere) -> Database:
    made, new = backup(), elsewhere()
    restored(new, made)
    return new


class TestIntoANewFolder:
    def test_the_audit_log_is_whole_and_says_what_was_done(self, database, backup, elsewhere):
        _record(database, 3)
        made = backup()
        _record(database, 2)
        new = elsewhere()
        done = restored(new, made)
        assert done.settled.chain.ok
        assert done.kept is None
        with new.read() as session:
            last = session.query(audit.AuditEvent).order_by(audit.AuditEvent.id.desc()).first()
        assert last is not None
        assert (last.action, last.number) == ("state:backup:restore", 5)

    def test_own_patterns_come_back(self, database, backup, elsewhere, data_dir, tmp_path):
        (data_dir / "pii_patterns.yaml").write_text("mine")
        made = backup()
        restored(elsewhere(), made)
        assert (tmp_path / "elsewhere" / "pii_patterns.yaml").read_text() == "mine"

    def test_files_are_their_owners_alone(self, backup, elsewhere, tmp_path):
        made = backup()
        restored(elsewhere(), made)
        for name in ("portal.sqlite", "secret.key"):
            assert (tmp_path / "elsewhere" / name).stat().st_mode & 0o077 == 0


class TestKeys:
    def test_without_the_key_nothing_is_made(self, backup, elsewhere, tmp_path):
        made, new = backup(), elsewhere()
        with pytest.raises(WrongKey, match="--keys"):
            restoring.restore(new, SYSTEM, source=made.file)
        assert not (tmp_path / "elsewhere" / "secret.key").exists()
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_another_portals_key_is_refused_by_its_name(self, backup, elsewhere):
        made = backup()
        made.keys.write_text(Fernet.generate_key().decode())
        with pytest.raises(WrongKey, match="is not among the given keys"):
            restored(elsewhere(), made)

    def test_the_folders_own_keys_are_enough_and_stay(self, backup, stopped, data_dir):
        made, before = backup(), keys_in(data_dir)
        restoring.restore(stopped(), SYSTEM, source=made.file, replace=True)
        assert keys_in(data_dir) == before

    def test_keys_of_another_portal_stay_behind_the_restored_ones(
        self, backup, elsewhere, tmp_path, data_dir
    ):
        made, new = backup(), elsewhere()
        startup.prepare(new, secret_store.get_vault())
        new.dispose()
        others = keys_in(tmp_path / "elsewhere")
        restored(new, made, replace=True)
        assert keys_in(tmp_path / "elsewhere") == keys_in(data_dir) + others

    def test_the_environments_key_is_enough(self, backup, elsewhere, monkeypatch):
        made = backup()
        monkeypatch.setenv("PORTAL_SECRET_KEYS", made.keys.read_text().strip())
        new = elsewhere()
        assert restoring.restore(new, SYSTEM, source=made.file).settled.chain.ok

    def test_a_key_file_that_would_not_count_is_refused(self, backup, elsewhere, monkeypatch):
        made = backup()
        monkeypatch.setenv("PORTAL_SECRET_KEYS", made.keys.read_text().strip())
        with pytest.raises(InvalidInput, match="no key file counts"):
            restored(elsewhere(), made)

    def test_a_file_that_holds_no_keys_is_named(self, backup, elsewhere):
        made = backup()
        made.keys.write_text("hello")
        with pytest.raises(InvalidInput, match=r"portal\.keys is not a file with"):
            restored(elsewhere(), made)


class TestOverAState:
    def test_is_refused_unless_asked_for(self, database, backup, stopped):
        made = backup()
        _record(database)
        before = _events(database)
        with pytest.raises(StateExists, match="--replace"):
            restored(stopped(), made)
        assert _events(database) == before

    def test_what_was_there_is_kept_whole(self, database, backup, stopped, data_dir):
        made = backup()
        _record(database, 4)
        before = _events(database)
        kept = restored(stopped(), made, replace=True).kept
        assert kept is not None
        assert kept.stat().st_mode & 0o077 == 0
        with sqlite3.connect(kept / "portal.sqlite") as connection:
            assert connection.execute("SELECT count(*) FROM audit_events").fetchone() == (before,)
        assert (kept / "audit.checkpoint").read_text().startswith(f"{before} ")
        assert _events(database) == 2  # the backup's intent and the restore

    def test_another_process_that_has_it_open_is_noticed(self, database, backup, stopped, data_dir):
        made = backup()
        _record(database)
        before = _events(database)
        holder = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
                "c.execute('SELECT count(*) FROM audit_events').fetchone();"
                "print('open', flush=True); sys.stdin.read()",
                str(data_dir / "portal.sqlite"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            with pytest.raises(PortalRuns, match="Stop the portal and its workers"):
                restored(stopped(), made, replace=True)
            assert _events(database) == before
        finally:
            holder.kill()
            holder.communicate()
        # The lock died with the process: nothing stale stands in the way.
        assert restored(stopped(), made, replace=True).settled.chain.ok

    @pytest.mark.parametrize("step", ["keep", "put"])
    def test_a_disk_that_fills_up_leaves_the_old_state_alone(
        self, database, backup, stopped, data_dir, monkeypatch, step
    ):
        made = backup()
        _record(database)
        before = _events(database)

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(restoring.sqlite_file, step, full)
        with pytest.raises(BackupFailed, match="The database is as it was"):
            restored(stopped(), made, replace=True)
        assert _events(database) == before
        assert not list(data_dir.glob("*restore-*"))
        with database.read() as session:
            assert audit.verify(session).ok


class TestDamagedFiles:
    @pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
    def test_are_refused_and_nothing_is_made(self, backup, elsewhere, tmp_path, damage):
        made = backup()
        content = bytearray(made.file.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 0xFF
        made.file.write_bytes(
            {"cut": content[:-100], "flipped": content, "text": b"hello", "empty": b""}[damage]
        )
        with pytest.raises(NotABackup, match=r"portal\.backup is not a whole backup"):
            restored(elsewhere(), made)
        assert not list((tmp_path / "elsewhere").iterdir())

    def test_another_database_is_refused(self, backup, elsewhere, monkeypatch, tmp_path):
        other = tmp_path / "other.sqlite"
        with sqlite3.connect(other) as connection:
            connection.execute("CREATE TABLE t (a)")
        monkeypatch.setattr(
            restoring.archive, "unpack", lambda _source, folder: other.rename(folder / other.name)
        )
        made = backup()
        with pytest.raises(NotABackup, match="cannot be read"):
            restored(elsewhere(), made)


class TestVersions:
    def test_an_older_one_is_migrated(self, data_dir, tmp_path, elsewhere):
        old = get_database()
        runner.upgrade(old, revision="0003_mounts")
        secret_store.ensure(old, secret_store.get_vault())
        made = Backup(tmp_path / "portal.backup", tmp_path / "portal.keys")
        service.make(old, SYSTEM, target=made.file, keys=made.keys)
        new = elsewhere()
        done = restored(new, made)
        assert done.manifest.revision == "0003_mounts"
        assert runner.current(new) == startup.SCHEMA_REVISION
        assert done.settled.chain.ok

    def test_a_newer_one_is_refused_with_its_revision(self, database, backup, elsewhere):
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
        made = backup()
        with pytest.raises(NewerBackup, match="9999_future"):
            restored(elsewhere(), made)


class TestWhatTimeHasPassedBy:
    def test_sessions_of_then_open_nothing(self, database, backup, elsewhere):
        with database.write() as session:
            ann = accounts.create(
                session, SYSTEM, name="ann", role=Role.STEWARD, password="velvet otter counts"
            )
            raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
        new = _put_elsewhere(backup, elsewhere)
        with new.read() as session:
            assert sessions.actor_for(session, raw) is None

    @pytest.mark.parametrize("state", ["queued", "running"])
    def test_open_jobs_of_then_do_not_run_again(self, database, backup, elsewhere, state):
        open_job, ended = job_in(database, state), job_in(database, "succeeded")
        new = _put_elsewhere(backup, elsewhere)
        with new.read() as session:
            interrupted = jobs.get(session, SYSTEM, job_id=open_job)
            assert jobs.get(session, SYSTEM, job_id=ended).state == "succeeded"
        assert interrupted.state == "interrupted"
        assert "restored from a backup" in (interrupted.error or "")


class TestSettle:
    """What is left to do after a server's own tool has put the database back."""

    def test_an_older_end_of_the_chain_is_accepted_and_the_witness_kept(
        self, database, data_dir, tmp_path, monkeypatch
    ):
        _record(database, 2)
        older = tmp_path / "older.sqlite"
        database.dispose()
        older.write_bytes((data_dir / "portal.sqlite").read_bytes())
        _record(database, 3)
        database.dispose()
        (data_dir / "portal.sqlite").write_bytes(older.read_bytes())
        with database.read() as session:
            assert "tail was cut" in audit.verify(session).problem
        monkeypatch.setattr(restoring.time, "sleep", lambda _: None)
        assert restoring.settle(database, SYSTEM).chain.ok
        (kept,) = data_dir.glob("audit.checkpoint.before-restore-*")
        assert kept.read_text().startswith("5 ")

    def test_a_portal_that_runs_is_noticed(self, database, monkeypatch):
        _lease(database, timedelta(seconds=20))
        monkeypatch.setattr(
            restoring.time, "sleep", lambda _: _lease(database, timedelta(seconds=30))
        )
        with pytest.raises(PortalRuns, match="host-7"):
            restoring.settle(database, SYSTEM)

    def test_the_lease_inside_a_fresh_dump_is_waited_out(self, database, monkeypatch):
        _lease(database, timedelta(seconds=20))
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            _lease(database, timedelta(seconds=-1))

        monkeypatch.setattr(restoring.time, "sleep", sleep)
        assert restoring.settle(database, SYSTEM).chain.ok
        assert len(waited) == 2 * schedule.TICK_SECONDS

    @pytest.mark.parametrize("of_the_dump", [timedelta(seconds=20), None])
    def test_a_worker_that_takes_the_free_lease_at_its_next_tick_is_noticed(
        self, database, monkeypatch, of_the_dump
    ):
        if of_the_dump:
            _lease(database, of_the_dump)
        seconds: list[float] = []

        def sleep(each: float) -> None:
            seconds.append(each)
            _lease(
                database, timedelta(seconds=30 if len(seconds) > 2 + schedule.TICK_SECONDS else -1)
            )

        monkeypatch.setattr(restoring.time, "sleep", sleep)
        with pytest.raises(PortalRuns, match="host-7"):
            restoring.settle(database, SYSTEM)
