"""The audit chain shows every change, cut and forgery."""

import json
import threading

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from backend.core import audit, audit_base, audit_digest
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput


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
    """Each proof names the guard that must answer: another one's answer hides that it is gone."""

    def test_an_untouched_chain_is_whole(self, five_events: Database) -> None:
        assert _verify(five_events) == audit.Verification(True, 5, None)

    def test_an_empty_chain_is_whole(self, database: Database) -> None:
        assert _verify(database) == audit.Verification(True, 0, None)

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("subject", "'x'"),
            ("actor_name", "'x'"),
            ("actor_id", "77"),
            ("actor_kind", "'x'"),
            ("details", "'x'"),
            ("outcome", "'x'"),
            ("phase", "'x'"),
            ("action", "'x'"),
            ("at", "'2020-01-01 00:00:00.000000'"),
        ],
    )
    def test_names_the_first_changed_row(
        self, five_events: Database, column: str, value: str
    ) -> None:
        _tamper(five_events, f"UPDATE audit_events SET {column} = {value} WHERE number IN (3, 4)")
        assert _verify(five_events) == audit.Verification(False, 3, 3, "row 3 was changed")

    def test_names_a_row_missing_from_the_middle(self, five_events: Database) -> None:
        _tamper(five_events, "DELETE FROM audit_events WHERE number = 2")
        assert _verify(five_events) == audit.Verification(False, 2, 2, "row 2 is missing")

    def test_names_a_row_missing_from_the_middle_though_all_are_numbered_anew(
        self, five_events: Database
    ) -> None:
        _tamper(five_events, "DELETE FROM audit_events WHERE number = 2")
        for number in (3, 4, 5):
            _tamper(
                five_events,
                f"UPDATE audit_events SET number = {number - 1} WHERE number = {number}",
            )
        assert _verify(five_events) == audit.Verification(False, 2, 2, "row 2 was changed")

    def test_detects_a_cut_tail(self, five_events: Database) -> None:
        audit.checkpoint_path().unlink()  # the head finds it alone
        _tamper(five_events, "DELETE FROM audit_events WHERE number > 3")
        assert _verify(five_events) == audit.Verification(
            False, 3, 4, "the tail was cut: 5 rows were written, 3 are left"
        )

    def test_detects_a_tail_cut_together_with_its_head_by_the_checkpoint_alone(
        self, database: Database
    ) -> None:
        _write(database, 3)
        third = _head(database)
        _write(database, 2)
        _tamper(database, "DELETE FROM audit_events WHERE number > 3")
        _put_back(database, third)
        assert _verify(database) == audit.Verification(
            False, 3, 4, "the tail was cut: 5 rows were written, 3 are left"
        )
        audit.checkpoint_path().unlink()
        assert "is missing" in _verify(database).problem

    def test_detects_other_rows_where_the_checkpoint_stands_by_the_checkpoint_alone(
        self, database: Database
    ) -> None:
        """Cut, and grown again to the same length by somebody who has the key."""
        _write(database, 2)
        second = _head(database)
        _write(database, 1)
        witness = audit.checkpoint_path().read_text()
        _tamper(database, "DELETE FROM audit_events WHERE number > 2")
        _put_back(database, second)
        _write(database, 2)
        audit.checkpoint_path().write_text(witness)
        assert _verify(database) == audit.Verification(False, 3, 3, "row 3 was replaced")

    def test_detects_a_head_changed_without_the_key(self, five_events: Database) -> None:
        third = _column(five_events, "SELECT hash FROM audit_events WHERE number = 3")
        _tamper(five_events, "DELETE FROM audit_events WHERE number > 3")
        _tamper(five_events, f"UPDATE audit_head SET count = 3, hash = '{third}'")
        assert _verify(five_events) == audit.Verification(False, 3, 4, "the head row was changed")

    def test_detects_a_missing_head(self, five_events: Database) -> None:
        _tamper(five_events, "DELETE FROM audit_head")
        assert _verify(five_events) == audit.Verification(False, 5, 6, "the head row is missing")

    def test_detects_a_row_forged_without_the_key(self, five_events: Database) -> None:
        _tamper(five_events, "UPDATE audit_events SET subject = 'y', hash = previous_hash")
        assert _verify(five_events) == audit.Verification(False, 1, 1, "row 1 was changed")

    def test_detects_an_old_head_put_back(self, database: Database) -> None:
        _write(database, 2)
        old = _head(database)
        _write(database, 1)
        _put_back(database, old)
        assert _verify(database) == audit.Verification(
            False, 3, 3, "the last row does not match the head"
        )


def _column(database: Database, statement: str) -> str:
    with database.read() as session:
        return str(session.execute(text(statement)).scalar_one())


def _head(database: Database) -> tuple[int, str, str]:
    with database.read() as session:
        return session.execute(text("SELECT count, hash, mac FROM audit_head")).one()._tuple()


def _put_back(database: Database, head: tuple[int, str, str]) -> None:
    count, last, mac = head
    _tamper(database, f"UPDATE audit_head SET count = {count}, hash = '{last}', mac = '{mac}'")


class TestCheckpoint:
    def test_names_the_last_row_of_a_commit_and_never_goes_back(self, database: Database) -> None:
        _write(database, 3)
        third = _column(database, "SELECT hash FROM audit_events WHERE number = 3")
        assert audit.checkpoint_path().read_text().startswith(f"3 {third} ")
        audit._move(b"key", 2, "0" * 64)
        audit._move(b"key", 3, "0" * 64)
        assert [each.name for each in audit.checkpoint_path().parent.glob("audit.*")] == [
            audit.CHECKPOINT_FILE
        ]

    def test_follows_a_restore_to_the_end_that_the_chain_has_then(self, database: Database) -> None:
        _write(database, 2)
        second = _head(database)
        _write(database, 1)
        _tamper(database, "DELETE FROM audit_events WHERE number > 2")
        _put_back(database, second)
        assert not _verify(database).ok
        with database.read() as session:
            audit.rewind_checkpoint(session)
        assert _verify(database) == audit.Verification(True, 2, None)
        assert audit.checkpoint_path().read_text().startswith(f"2 {second[1]} ")

    def test_of_an_empty_chain_is_none(self, database: Database) -> None:
        with database.read() as session:
            audit.rewind_checkpoint(session)
        assert not audit.checkpoint_path().exists()

    def test_that_cannot_be_written_does_not_stop_the_work(self, database: Database) -> None:
        audit.checkpoint_path().mkdir()
        with capture_logs() as said:
            _write(database, 1)
        assert "is missing" in _verify(database).problem
        assert [each["event"] for each in said] == ["The audit checkpoint could not be written."]

    def test_an_older_database_without_its_checkpoint_is_said(self, database: Database) -> None:
        _write(database, 2)
        older = _head(database)
        _write(database, 3)
        _roll_back(database, older)
        audit.checkpoint_path().unlink()
        assert "is missing" in _verify(database).problem
        _write(database, 9)  # going on makes no new one
        assert "is missing" in _verify(database).problem

    def test_an_older_database_that_goes_on_past_the_old_number_is_said(
        self, database: Database
    ) -> None:
        _write(database, 2)
        older = _head(database)
        _write(database, 3)
        _roll_back(database, older)
        _write(database, 9)
        assert _verify(database) == audit.Verification(False, 5, 5, "row 5 was replaced")

    def test_one_written_without_the_key_vouches_for_nothing(self, database: Database) -> None:
        _write(database, 5)
        third = _column(database, "SELECT hash FROM audit_events WHERE number = 3")
        audit.checkpoint_path().write_text(f"3 {third} {'0' * 64}\n")
        assert "was changed" in _verify(database).problem
        audit.checkpoint_path().write_text(f"3 {third}\n")
        assert "of an older portal" in _verify(database).problem

    def test_of_nonsense_vouches_for_nothing(self, database: Database) -> None:
        audit.checkpoint_path().write_text("three")
        _write(database, 1)
        assert audit.checkpoint_path().read_text().startswith("1 ")


class TestVerifyWhileOthersWrite:
    """A live portal's log is whole while it grows, at whatever moment somebody writes."""

    @pytest.mark.parametrize("moment", ["key_of", "row_hash_of", "_verify_end"])
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


def _roll_back(database: Database, head: tuple[int, str, str]) -> None:
    """As when an older copy of the database file is put back."""
    _tamper(database, f"DELETE FROM audit_events WHERE number > {head[0]}")
    _put_back(database, head)


class TestDigest:
    def test_shows_what_was_put_back_with_its_checkpoint(self, database: Database) -> None:
        _write(database, 2)
        older, witness = _head(database), audit.checkpoint_path().read_text()
        _write(database, 3)
        with database.read() as session:
            made = audit_digest.digest(session)
        _write(database, 1)
        with database.read() as session:
            assert audit.verify(session, kept=audit_digest.kept(session, made)).ok
        _roll_back(database, older)
        audit.checkpoint_path().write_text(witness)
        assert _verify(database).ok, "nothing on this machine can know"
        with database.read() as session:
            assert (
                "5 rows were written"
                in audit.verify(session, kept=audit_digest.kept(session, made)).problem
            )
        _write(database, 9)
        with database.read() as session:
            assert (
                audit.verify(session, kept=audit_digest.kept(session, made)).problem
                == "row 5 was replaced"
            )

    def test_that_was_changed_is_refused(self, database: Database) -> None:
        _write(database, 3)
        with database.read() as session:
            made = audit_digest.digest(session)
            made["rows"]["3"] = "0" * 64
            with pytest.raises(InvalidInput, match="signature is not this portal's"):
                audit.verify(session, kept=audit_digest.kept(session, made))


class TestFromTheLastGoodRow:
    def test_a_long_log_is_walked_from_where_it_was_whole(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "ALWAYS_WHOLE", 3)
        _write(database, 5)
        assert _verify(database).ok
        _write(database, 2)
        looked: list[int] = []
        hashed = audit.row_hash_of
        monkeypatch.setattr(
            audit, "row_hash_of", lambda key, row: looked.append(row.number) or hashed(key, row)
        )
        with database.read() as session:
            assert audit.verify(session, full=False) == audit.Verification(True, 7, None)
        assert looked == [6, 7]
        _tamper(database, "UPDATE audit_events SET subject = 'y' WHERE number = 2")
        assert _verify(database).first_broken == 2


class TestRecord:
    def test_numbers_rows_and_chains_them(self, database: Database) -> None:
        with database.write() as session:
            numbers = [audit.record(session, SYSTEM, "a:b:c", subject="x") for _ in range(2)]
        assert numbers == [1, 2]
        with database.read() as session:
            first, second = session.execute(
                text("SELECT * FROM audit_events ORDER BY number")
            ).all()
        assert first.previous_hash == audit_base.GENESIS
        assert second.previous_hash == first.hash
        assert (first.phase, first.outcome, first.details) == ("event", "", "{}")
        assert (first.actor_id, first.actor_name, first.actor_kind) == (
            SYSTEM.id,
            SYSTEM.name,
            SYSTEM.kind,
        )

    def test_keeps_what_fits_and_says_where_it_cut(self, database: Database) -> None:
        fits = {"text": "é" * (audit.MAX_DETAILS - len('{"text": ""}'))}
        with database.write() as session:
            for details in (fits, {"text": fits["text"] + "x"}):
                audit.record(
                    session,
                    SYSTEM,
                    "a" * 81,
                    subject="s" * 501,
                    outcome="o" * 41,
                    phase="outcome",
                    details=details,
                )
        with database.read() as session:
            whole, cut = session.execute(text("SELECT * FROM audit_events ORDER BY number")).all()
        assert json.loads(whole.details) == fits
        assert json.loads(cut.details) == {
            "truncated": True,
            "start": whole.details[: audit.MAX_DETAILS // 2],
        }
        assert (whole.action, whole.subject, whole.outcome) == ("a" * 80, "s" * 500, "o" * 40)
        assert whole.phase == "outcome"
        assert _verify(database).ok

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
