"""What vouches for the audit log: hashes as they were always made, checkpoint, archives, heads."""

import dataclasses
import hashlib
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from backend.core import audit, reasons, secret_store
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent, AuditHead, Verification
from backend.core.database import Database

KEY = b"k" * 32
ACCEPT = "compare with a digest that was kept elsewhere, then run: audit accept"


def _write(database: Database, rows: int) -> None:
    with database.write() as session:
        for _ in range(rows):
            audit.record(session, SYSTEM, "a:b:c", subject="x")


def _verify(database: Database, **how: bool) -> Verification:
    with database.read() as session:
        return audit.verify(session, **how)


def _tamper(database: Database, statement: str) -> None:
    with database.write() as session:
        session.execute(text(statement))


def _hash(database: Database, number: int) -> str:
    found = database.ask(audit._hash_at, number)
    assert found is not None
    return found


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class TestAsItWasAlwaysMade:
    """Another hash, and every log that exists is broken; another witness, and it is forged."""

    @pytest.mark.usefixtures("in_tokyo")
    @pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
    def test_a_rows_hash(self, zone: timezone) -> None:
        row = AuditEvent(
            number=7,
            at=datetime(2026, 11, 28, 1, 2, 3, 4, tzinfo=UTC).astimezone(zone),
            actor_id=3,
            actor_name="Zoë",
            actor_kind="user",
            action="a:b:c",
            subject="thing",
            phase="event",
            outcome="succeeded",
            details='{"n": 1}',
            previous_hash="ab" * 32,
        )
        said = (
            f'["{"ab" * 32}",7,"2026-11-28T01:02:03.000004",3,"Zoë","user","a:b:c","thing",'
            '"event","succeeded","{\\"n\\": 1}"]'
        )
        assert audit.row_hash_of(KEY, row) == _mac(said)

    def test_a_head_and_a_witness(self) -> None:
        assert audit._head_mac(KEY, 3, "ff") == _mac("head:3:ff")
        assert audit._witness_mac(KEY, "audit.checkpoint", 3, "ff") == _mac("audit.checkpoint:3:ff")

    def test_details(self, database: Database) -> None:
        with database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject="x", details={"b": Path("/é"), "a": [1]})
        with database.read() as session:
            details = session.execute(text("SELECT details FROM audit_events")).scalar_one()
        assert details == '{"a": [1], "b": "/é"}'


def _mac(said: str) -> str:
    return hmac.new(KEY, said.encode(), hashlib.sha256).hexdigest()


class TestRecord:
    def test_what_succeeded_at_once(self, database: Database) -> None:
        with database.write() as session:
            numbers = [
                audit.done(session, SYSTEM, "a:b:c", "thing", n=1),
                audit.done(session, SYSTEM, "a:b:c", "thing"),
            ]
        assert numbers == [1, 2]
        with database.read() as session:
            rows = session.execute(
                text(
                    "SELECT actor_name, action, subject, phase, outcome, details FROM audit_events"
                )
            ).all()
        same = ("system", "a:b:c", "thing", "event", "succeeded")
        assert [tuple(row) for row in rows] == [(*same, '{"n": 1}'), (*same, "{}")]

    def test_the_reason_that_the_face_was_told_stands_unless_the_details_have_one(
        self, database: Database
    ) -> None:
        with reasons.given("as agreed"), database.write() as session:
            for details in (None, {"n": 1}, {"reason": "its own"}):
                audit.record(session, SYSTEM, "a:b:c", subject="x", details=details)
        with database.read() as session:
            said = session.scalars(text("SELECT details FROM audit_events ORDER BY number")).all()
        assert said == [
            '{"reason": "as agreed"}',
            '{"n": 1, "reason": "as agreed"}',
            '{"reason": "its own"}',
        ]

    def test_a_long_name_is_cut(self, database: Database) -> None:
        with database.write() as session:
            audit.record(session, dataclasses.replace(SYSTEM, name="n" * 256), "a:b:c", subject="x")
        with database.read() as session:
            assert session.scalars(text("SELECT actor_name FROM audit_events")).one() == "n" * 255

    def test_the_head_counts_as_it_is_under_the_lock_not_as_it_was_read_before(
        self, database: Database
    ) -> None:
        with database.write() as session:
            assert session.get_one(AuditHead, 1).count == 0
            session.execute(text("UPDATE audit_head SET count = 41"))
            assert audit.record(session, SYSTEM, "a:b:c", subject="x") == 42

    def test_the_key_is_opened_once_for_a_unit_of_work(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        read = secret_store.read
        monkeypatch.setattr(
            secret_store, "read", lambda *asked: opened.append(asked[2]) or read(*asked)
        )
        _write(database, 3)
        assert opened == [secret_store.AUDIT_KEY]


class TestCheckpoint:
    @pytest.fixture
    def path(self, database: Database) -> Path:
        _write(database, 3)
        return audit.checkpoint_path()

    @pytest.mark.parametrize("place", [0, 1], ids=["another number", "another hash"])
    def test_a_genuine_signature_of_something_else_vouches_for_nothing(
        self, database: Database, path: Path, place: int
    ) -> None:
        said = path.read_text().split()
        said[place] = ["2", "0" * 64][place]
        path.write_text(" ".join(said))
        assert _verify(database) == Verification(
            False, 3, 3, f"the checkpoint {path} was changed; {ACCEPT}"
        )

    def test_another_witness_is_no_checkpoint(self, database: Database, path: Path) -> None:
        assert _verify(database).ok
        path.write_text(path.with_name(audit.VERIFIED_FILE).read_text())
        assert _verify(database).problem == f"the checkpoint {path} was changed; {ACCEPT}"

    def test_one_that_is_gone_or_damaged_is_said_with_the_way_out(
        self, database: Database, path: Path
    ) -> None:
        path.write_text("3")
        assert _verify(database) == Verification(
            False, 3, 3, f"the checkpoint {path} is damaged or of an older portal; {ACCEPT}"
        )
        path.unlink()
        assert _verify(database) == Verification(
            False,
            3,
            3,
            f"the checkpoint {path} is missing: a cut or older log would not show; {ACCEPT}",
        )

    def test_what_it_vouches_for(self, database: Database, path: Path) -> None:
        key = database.ask(audit.key_of)
        found = audit._witness(key, audit.CHECKPOINT_FILE, path.read_text())
        assert found == ((3, _hash(database, 3)), "")

    def test_never_goes_back_and_not_to_another_row_of_its_number(
        self, database: Database, path: Path
    ) -> None:
        key, before = database.ask(audit.key_of), path.read_text()
        audit._move(key, 2, "0" * 64)
        audit._move(key, 3, "0" * 64)
        assert path.read_text() == before
        audit._move(key, 4, "0" * 64)
        assert path.read_text().startswith(f"4 {'0' * 64} ")

    def test_one_that_went_is_not_made_anew_beside_the_second_row(self, database: Database) -> None:
        _write(database, 1)
        path = audit.checkpoint_path()
        path.unlink()
        with capture_logs() as said:
            _write(database, 1)
        assert not path.exists()
        assert said == [
            {
                "event": "The audit checkpoint stays as it is.",
                "log_level": "error",
                "problem": f"the checkpoint {path} is missing: a cut or older log would not show; "
                f"{ACCEPT}",
            }
        ]

    @pytest.mark.parametrize("left", [1, 2], ids=["before its number", "at its number"])
    def test_an_older_log_does_not_move_it(self, database: Database, path: Path, left: int) -> None:
        before = path.read_text()
        head = audit._head_mac(database.ask(audit.key_of), left, _hash(database, left))
        _tamper(database, f"DELETE FROM audit_events WHERE number > {left}")
        _tamper(
            database,
            f"UPDATE audit_head SET count = {left}, mac = '{head}', "
            f"hash = (SELECT hash FROM audit_events WHERE number = {left})",
        )
        with capture_logs() as said:
            _write(database, 1)
        assert path.read_text() == before
        assert said == [
            {
                "event": "The audit log is not the one that the checkpoint saw.",
                "log_level": "error",
                "row": 3,
            }
        ]

    def test_what_a_restore_records_leaves_it(self, database: Database, path: Path) -> None:
        before = path.read_text()
        with database.write() as session:
            audit.leave_checkpoint(session)
            audit.record(session, SYSTEM, "a:b:c", subject="x")
        assert path.read_text() == before

    def test_its_folder_is_made_for_the_owner_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a" / "b" / audit.CHECKPOINT_FILE
        monkeypatch.setattr(audit, "checkpoint_path", lambda: path)
        audit._store_witness(KEY, audit.CHECKPOINT_FILE, 1, "ff" * 32)
        assert path.read_text().startswith("1 ff")
        assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_one_that_cannot_be_written_is_logged_with_the_cause(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setattr(audit, "checkpoint_path", lambda: tmp_path / "file" / "x")
        with capture_logs() as said:
            audit._store_witness(KEY, audit.CHECKPOINT_FILE, 1, "ff" * 32)
        (line,) = said
        assert "File exists" in line["error"]
