"""A restore that is killed, at each step: the old state, or a new one in which nothing revives."""

import pytest

from backend.accounts import service as accounts
from backend.accounts import sessions
from backend.backup import archive, restoring
from backend.backup.errors import BackupFailed, RestoreRuns
from backend.core import audit
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.jobs import service as jobs
from tests.backend.backup.conftest import job_in, restored


def _more_events(database: Database) -> int:
    """What happened after the backup; how many events there are then."""
    with database.write() as session:
        return audit.record(session, SYSTEM, "tests:thing:do", subject="x")


def _events(database: Database) -> int:
    with database.read() as session:
        return session.query(audit.AuditEvent).count()


class Killed(BaseException):
    """The process ends here: nothing behind it runs."""


class TestKilled:
    STEPS = ("keep", "prepare", "settle", "copyfile", "put", "rewind")

    def _kill(self, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        def killed(*_: object, **__: object) -> None:
            raise Killed

        owner, name = {
            "keep": (restoring.sqlite_file, "keep"),
            "prepare": (restoring.startup, "prepare"),
            "settle": (restoring.sessions, "end_everybodys"),
            "copyfile": (restoring.shutil, "copyfile"),
            "put": (restoring.sqlite_file, "put"),
            "rewind": (restoring.audit, "rewind_checkpoint"),
        }[step]
        monkeypatch.setattr(owner, name, killed)

    @pytest.mark.parametrize("step", STEPS)
    def test_the_state_is_the_old_or_the_settled_new_one(
        self, database, backup, stopped, data_dir, monkeypatch, step
    ):
        with database.write() as session:
            ann = accounts.create(
                session, SYSTEM, name="ann", role=Role.STEWARD, password="velvet otter counts"
            )
            raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
        open_job = job_in(database, "running")
        (data_dir / "pii_patterns.yaml").write_text("mine")
        made = backup()
        before = _more_events(database)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            self._kill(patch, step)
            restored(stopped(), made, replace=True)
        is_old = step != "rewind"
        with database.read() as session:
            job = jobs.get(session, SYSTEM, job_id=open_job)
            signed_in = sessions.actor_for(session, raw)
            found = audit.verify(session)
        assert (_events(database) == before, job.state, signed_in is not None) == (
            (True, "running", True) if is_old else (False, "interrupted", False)
        )
        assert found.ok == is_old, found.problem  # the checkpoint says that the log is another

    def test_a_second_try_puts_it_right(self, database, backup, stopped, monkeypatch):
        made = backup()
        _more_events(database)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            self._kill(patch, "rewind")
            restored(stopped(), made, replace=True)
        assert restored(stopped(), made, replace=True).settled.chain.ok

    def test_what_a_killed_one_had_unpacked_does_not_stay_for_ever(
        self, database, backup, stopped, data_dir
    ):
        made = backup()
        (data_dir / ".restore-abc").mkdir()
        (data_dir / ".restore-abc" / "portal.sqlite").write_bytes(b"a whole state")
        restored(stopped(), made, replace=True)
        assert not list(data_dir.glob(".restore-*"))

    def test_another_restore_is_left_alone(self, database, backup, stopped, data_dir):
        """What it has unpacked stays, which was removed, and it would have put an empty state."""
        made = backup()
        _more_events(database)
        before = _events(database)
        with archive.staged(data_dir, ".restore-") as others:
            (others / "portal.sqlite").write_bytes(b"a whole state")
            with pytest.raises(RestoreRuns, match="Another restore puts a backup into"):
                restored(stopped(), made, replace=True)
            assert (others / "portal.sqlite").read_bytes() == b"a whole state"
            assert list(data_dir.glob(".restore-*")) == [others]
        assert _events(database) == before
        assert restored(stopped(), made, replace=True).settled.chain.ok

    def test_a_file_that_cannot_be_put_leaves_the_old_database(
        self, database, backup, stopped, data_dir
    ):
        (data_dir / "pii_patterns.yaml").write_text("mine")
        made = backup()
        (data_dir / "pii_patterns.yaml").unlink()
        (data_dir / "pii_patterns.yaml").mkdir()
        before = _more_events(database)
        with pytest.raises(BackupFailed, match="The database is as it was"):
            restored(stopped(), made, replace=True)
        assert _events(database) == before
