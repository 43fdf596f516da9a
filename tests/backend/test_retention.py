"""Every table has its rule; what leaves is in an archive first, and the audit log verifies."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from backend import models, retention
from backend.accounts import audit_log
from backend.core import archive, audit, audit_archive, audit_digest, clock
from backend.core import retention as core_retention
from backend.core.access import SYSTEM
from backend.core.database import Base, Database
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings, load_settings
from backend.jobs import registry, schedule
from backend.models import (
    AuditArchive,
    AuditEvent,
    Job,
)

YEARS = {"AUDIT": 1095, "JOBS": 365, "RUNS": 730, "TOKENS": 365}


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, days in YEARS.items():
        monkeypatch.setenv(f"PORTAL_KEEP_{name}_DAYS", str(days))
    get_settings.cache_clear()


def test_by_default_the_audit_log_stays_and_all_else_for_years() -> None:
    settings = load_settings({})
    assert settings.keep_audit_days == 0
    assert min(settings.keep_jobs_days, settings.keep_runs_days) >= 730


def test_every_table_has_one_rule_that_holds_together() -> None:
    assert models  # all tables are known
    named = [rule.table for rule in retention.RULES]
    assert sorted(named) == sorted(Base.metadata.tables)
    registry.load_all()
    for rule in retention.RULES:
        known = rule.by in schedule._tasks or not rule.by
        assert known, f"{rule.table}: no periodic task {rule.by}"
        assert bool(rule.setting) == (rule.leaver is not None) == ("{days}" in rule.kept), (
            rule.table
        )


def test_the_guide_has_the_rules() -> None:
    text = retention.DOCUMENT.read_text(encoding="utf-8")
    assert retention.with_table(text) == text, "run: make docs"


@pytest.mark.parametrize("days", ["29", "-1", "many"])
def test_a_time_that_is_too_short_is_refused(days: str) -> None:
    with pytest.raises(Exception, match="PORTAL_KEEP_AUDIT_DAYS"):
        load_settings({"PORTAL_KEEP_AUDIT_DAYS": days})


def test_zero_keeps_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _old_events(database, 5)
    for name in ("AUDIT", "JOBS", "RUNS", "TOKENS"):
        monkeypatch.setenv(f"PORTAL_KEEP_{name}_DAYS", "0")
    get_settings.cache_clear()
    assert _clean(database) == {}


def test_the_job_is_asked_for_once_there_is_something_old(database: Database) -> None:
    """A young portal has no job of it in its list."""
    registry.load_all()
    task = schedule._tasks["jobs.retention"]
    task.function(database)
    with database.write() as session:
        audit.record(session, SYSTEM, "a:b:c", subject="new")
    task.function(database)
    with database.read() as session:
        assert list(session.scalars(select(Job.kind))) == []
    with database.write() as session:
        session.execute(update(AuditEvent).values(at=_ago(31)))
    task.function(database)
    with database.read() as session:
        assert list(session.scalars(select(Job.kind))) == ["jobs.retention"]


class TestAudit:
    def test_old_events_leave_and_the_log_verifies(
        self, any_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_archive, "ROWS", 4)
        _old_events(any_database, 10)
        with any_database.write() as session:
            audit.record(session, SYSTEM, "a:b:new", subject="stays")
        assert _leave(any_database, _ago(1)) == 10
        with any_database.read() as session:
            assert audit.verify(session).ok
            assert session.scalar(select(func.min(AuditEvent.number))) == 11
            files = list(session.scalars(select(AuditArchive.file).order_by(AuditArchive.last)))
            pieces = [audit_archive.verify(session, archive.folder() / name) for name in files]
        assert [(piece.first, piece.last) for piece in pieces] == [(1, 4), (5, 8), (9, 10)]
        with any_database.write() as session:
            audit.record(session, SYSTEM, "a:b:next", subject="goes on")
        with any_database.read() as session:
            assert audit.verify(session).ok
            assert audit.verify(session, full=False).ok

    def test_the_newest_event_never_leaves(self, database: Database) -> None:
        _old_events(database, 3)
        assert _leave(database, clock.now() + timedelta(days=1)) == 2
        with database.read() as session:
            assert audit.verify(session).ok

    def test_a_digest_of_before_still_fits(self, database: Database) -> None:
        _old_events(database, 6)
        with database.read() as session:
            made = audit_digest.digest(session)
        _leave(database, clock.now() + timedelta(days=1))
        with database.read() as session:
            assert audit.verify(session, kept=audit_digest.kept(session, made)).ok

    def test_a_digest_shows_what_was_put_back_and_then_archived(self, database: Database) -> None:
        _old_events(database, 2)
        with database.read() as session:
            count, row_hash, mac = session.execute(
                text("SELECT count, hash, mac FROM audit_head")
            ).one()
        _old_events(database, 4)
        with database.read() as session:
            made = audit_digest.digest(session)
        with database.write() as session:  # an older database, which goes on and forgets
            session.execute(text(f"DELETE FROM audit_events WHERE number > {count}"))
            session.execute(
                text(f"UPDATE audit_head SET count={count}, hash='{row_hash}', mac='{mac}'")
            )
        audit.checkpoint_path().unlink()
        _old_events(database, 8)
        _leave(database, clock.now() + timedelta(days=1))
        with database.read() as session:
            audit.rewind_checkpoint(session)
            assert audit_log.verify(session, SYSTEM).ok, "nothing on this machine can know"
            found = audit_log.verify(session, SYSTEM, against=made)
        assert (found.ok, found.first_broken) == (False, 6)
        assert "row 6 was replaced before it left for audit_events-" in found.problem

    def test_a_digest_of_rows_whose_archive_is_gone_or_changed_says_so(
        self, database: Database
    ) -> None:
        _old_events(database, 6)
        with database.read() as session:
            made = audit_digest.digest(session)
        _old_events(database, 1)
        _leave(database, clock.now() + timedelta(days=1))
        with database.read() as session:
            assert audit_log.verify(session, SYSTEM, against=made).ok
        (file,) = archive.folder().glob("audit_events-*")
        whole = file.read_bytes()
        for broken, says in ((whole[:-9], "damaged, cut off"), (None, "there is no such file")):
            file.unlink()
            if broken is not None:
                file.write_bytes(broken)
            with database.read() as session:
                found = audit_log.verify(session, SYSTEM, against=made)
            assert (found.ok, found.first_broken) == (False, 6)
            assert "row 6 is in an archive that cannot be compared" in found.problem
            assert says in found.problem
            file.touch()

    def test_rows_deleted_by_hand_are_missed_after_an_archive(self, database: Database) -> None:
        _old_events(database, 6)
        _leave(database, clock.now() + timedelta(days=1))
        with database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject="more")
            session.execute(AuditEvent.__table__.delete().where(AuditEvent.number == 7))
        assert "is missing" in _verify(database).problem

    def test_a_record_of_archives_written_by_hand_is_no_excuse(self, database: Database) -> None:
        _old_events(database, 6)
        with database.write() as session:
            row = session.scalars(select(AuditEvent).where(AuditEvent.number == 4)).one()
            session.add(
                AuditArchive(
                    last=4, last_hash=row.hash, mac="0" * 64, file="x", archived_at=clock.now()
                )
            )
            session.execute(AuditEvent.__table__.delete().where(AuditEvent.number <= 4))
        assert _verify(database).problem == "the record of the archives was changed"

    def test_a_log_that_was_changed_is_not_archived(self, database: Database) -> None:
        _old_events(database, 4)
        with database.write() as session:
            session.execute(update(AuditEvent).where(AuditEvent.number == 2).values(subject="x"))
        with pytest.raises(audit_archive.LogBroken, match="row 2 does not fit"):
            _leave(database, clock.now() + timedelta(days=1))
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(AuditEvent)) == 4

    def test_two_at_once_lose_nothing(
        self, any_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process archives the same rows between the reading and the writing of this."""
        _old_events(any_database, 6)
        written, others = archive.write, []

        def write(*arguments: Any) -> Path:
            path = written(*arguments)
            if not others:
                others.append(path)
                assert _leave(any_database, _ago(1)) == 5
            return path

        monkeypatch.setattr(archive, "write", write)
        assert audit_archive.Events().leave(any_database, _ago(1), lambda done: None) == 0
        assert _verify(any_database).ok
        with any_database.read() as session:
            files = sorted(archive.folder().glob("audit_events-*"))
            pieces = [audit_archive.verify(session, path) for path in files]
        assert [(piece.first, piece.last) for piece in pieces] == [(1, 5)]

    def test_a_checkpoint_whose_row_was_archived_moves_on(self, database: Database) -> None:
        _old_events(database, 3)
        witness = audit.checkpoint_path().read_text()
        with database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject="more")
        _leave(database, clock.now() + timedelta(days=1))
        audit.checkpoint_path().write_text(witness)  # of a process that wrote long ago
        with database.write() as session:
            number = audit.record(session, SYSTEM, "a:b:c", subject="later")
        assert audit.checkpoint_path().read_text().split()[0] == str(number)


class TestArchives:
    def test_a_changed_file_is_refused(self, database: Database) -> None:
        path = _one_archive(database)
        text = gzip.decompress(path.read_bytes()).replace(b"row 1", b"row 9")
        path.write_bytes(gzip.compress(text))
        _refused(database, path, "signature of .* is not this portal's")

    def test_a_file_that_is_cut_off_is_refused(self, database: Database) -> None:
        path = _one_archive(database)
        path.write_bytes(path.read_bytes()[:-20])
        _refused(database, path, "cannot be read as an archive")

    @pytest.mark.parametrize(
        ("content", "guard"),
        [
            (gzip.compress(b"x")[:10] + b"\xff" * 20, r"as an archive \(error\)"),
            (gzip.compress(b"[" * 100_000), r"as an archive \(RecursionError\)"),
            (gzip.compress(b" " * 200_000), "unpacked it is larger than 100,000 bytes"),
        ],
        ids=["damaged inside", "nested", "a bomb"],
    )
    def test_a_file_that_is_none_is_one_sentence(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, content: bytes, guard: str
    ) -> None:
        monkeypatch.setattr(archive, "MAX_TEXT", 100_000)
        path = _one_archive(database)
        path.write_bytes(content)
        _refused(database, path, guard)

    def test_rows_that_could_not_be_read_again_are_not_written(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive, "MAX_TEXT", 1_000)
        with pytest.raises(InvalidInput, match="audit_events 1 to 4 are larger than 1,000 bytes"):
            _one_archive(database)
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(AuditEvent)) == 5

    def test_a_file_of_another_table_is_verified_by_its_signature(self, database: Database) -> None:
        with database.read() as session:
            path = archive.write(audit.key_of(session), "jobs", (7, 8), [{"id": 7}, {"id": 8}])
            found = audit_log.verify_archive(session, SYSTEM, path=path)
        assert (found.table, found.first, found.last) == ("jobs", 7, 8)
        changed = gzip.decompress(path.read_bytes()).replace(b'"id":7', b'"id":6')
        path.write_bytes(gzip.compress(changed))
        _refused(database, path, "signature")

    def test_only_its_owner_may_read_it(self, database: Database) -> None:
        path = _one_archive(database)
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def _clean(database: Database) -> dict[str, int]:
    return dict(core_retention.clean(database, lambda rule, done: None))


def _leave(database: Database, before: datetime) -> int:
    """What the dry run says is what leaves."""
    events = audit_archive.Events()
    with database.read() as session:
        due = events.due(session, before)
    moved = events.leave(database, before, lambda done: None)
    assert moved == due
    return moved


def _ago(days: int) -> datetime:
    return clock.now() - timedelta(days=days)


def _old_events(database: Database, count: int) -> None:
    """Events of three years ago, in a chain that fits."""
    moment = _ago(1200)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment)
        for number in range(count):
            with database.write() as session:
                audit.record(session, SYSTEM, "a:b:c", subject=f"row {number}")


def _one_archive(database: Database) -> Path:
    _old_events(database, 5)
    _leave(database, clock.now() + timedelta(days=1))
    [path] = archive.folder().glob("audit_events-*")
    return path


def _refused(database: Database, path: Path, why: str) -> None:
    with database.read() as session, pytest.raises(InvalidInput, match=why):
        audit_log.verify_archive(session, SYSTEM, path=path)


def _verify(database: Database) -> audit.Verification:
    with database.read() as session:
        return audit.verify(session)
