"""The audit chain shows every change, cut and forgery."""

import threading

import pytest
from sqlalchemy import text

from backend.core import audit
from backend.core.access import SYSTEM
from backend.core.database import Database


@pytest.fixture
def five_events(database: Database) -> Database:
    for number in range(5):
        with database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject=f"thing {number}", details={"n": number})
    return database


def _verify(database: Database) -> audit.Verification:
    with database.read() as session:
        return audit.verify(session)


def _tamper(database: Database, statement: str) -> None:
    with database.write() as session:
        session.execute(text(statement))


class TestVerify:
    def test_an_untouched_chain_is_whole(self, five_events: Database) -> None:
        assert _verify(five_events) == audit.Verification(True, 5, None)

    def test_an_empty_chain_is_whole(self, database: Database) -> None:
        assert _verify(database).ok

    @pytest.mark.parametrize("column", ["subject", "actor_name", "details", "outcome", "action"])
    def test_names_the_first_changed_row(self, five_events: Database, column: str) -> None:
        _tamper(five_events, f"UPDATE audit_events SET {column} = 'x' WHERE number IN (3, 4)")
        result = _verify(five_events)
        assert (result.ok, result.first_broken) == (False, 3)

    def test_names_a_row_missing_from_the_middle(self, five_events: Database) -> None:
        _tamper(five_events, "DELETE FROM audit_events WHERE number = 2")
        assert _verify(five_events).first_broken == 2

    def test_detects_a_cut_tail(self, five_events: Database) -> None:
        _tamper(five_events, "DELETE FROM audit_events WHERE number > 3")
        result = _verify(five_events)
        assert (result.ok, result.first_broken) == (False, 4)

    def test_detects_a_tail_cut_together_with_its_head(self, five_events: Database) -> None:
        with five_events.read() as session:
            third = session.execute(
                text("SELECT hash FROM audit_events WHERE number = 3")
            ).scalar_one()
        _tamper(five_events, "DELETE FROM audit_events WHERE number > 3")
        _tamper(five_events, f"UPDATE audit_head SET count = 3, hash = '{third}'")
        assert not _verify(five_events).ok

    def test_detects_a_row_forged_without_the_key(self, five_events: Database) -> None:
        _tamper(five_events, "UPDATE audit_events SET subject = 'y', hash = previous_hash")
        assert _verify(five_events).first_broken == 1

    def test_detects_an_old_head_put_back(self, database: Database) -> None:
        for _ in range(2):
            with database.write() as session:
                audit.record(session, SYSTEM, "a:b:c", subject="x")
            with database.read() as session:
                old = session.execute(text("SELECT count, hash, mac FROM audit_head")).one()
        with database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject="x")
        _tamper(
            database,
            f"UPDATE audit_head SET count = {old.count}, hash = '{old.hash}', mac = '{old.mac}'",
        )
        assert not _verify(database).ok


class TestVerifyWhileOthersWrite:
    """A live portal's log is whole while it grows, at whatever moment somebody writes."""

    @pytest.mark.parametrize("moment", ["_key", "_row_hash", "_verify_end"])
    def test_rows_written_meanwhile_are_no_alarm(
        self, any_database: Database, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        _write(any_database, 3)
        original = getattr(audit, moment)

        def write_first(*arguments: object) -> object:
            monkeypatch.setattr(audit, moment, original)
            _write(any_database, 2)
            return original(*arguments)

        monkeypatch.setattr(audit, moment, write_first)
        assert _verify(any_database).problem == ""
        assert _verify(any_database) == audit.Verification(True, 5, None)

    def test_a_steady_writer_causes_no_alarm(self, any_database: Database) -> None:
        _write(any_database, 300)
        done = threading.Event()

        def write() -> None:
            while not done.wait(0.005):
                _write(any_database, 1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            problems = {_verify(any_database).problem for _ in range(15)}
        finally:
            done.set()
            writer.join()
        assert problems == {""}


def _write(database: Database, rows: int) -> None:
    with database.write() as session:
        for _ in range(rows):
            audit.record(session, SYSTEM, "a:b:c", subject="x")


class TestRecord:
    def test_secrets_never_reach_the_row(self, database: Database) -> None:
        with database.write() as session:
            audit.record(
                session,
                SYSTEM,
                "a:b:c",
                subject="amqp://me:planted-secret@host",
                details={"password": "planted-secret", "note": "Bearer planted-secret"},
            )
        with database.read() as session:
            row = session.execute(text("SELECT * FROM audit_events")).one()
        assert "planted-secret" not in str(row)

    def test_rolls_back_with_its_action(self, database: Database) -> None:
        with pytest.raises(RuntimeError), database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject="x")
            raise RuntimeError
        assert _verify(database).events == 0
