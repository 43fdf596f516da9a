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

from backend.core import audit, audit_archive, clock, reasons, secret_store, stopping
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent, AuditHead, Verification
from backend.core.audit_base import GENESIS
from backend.core.database import Database
from backend.core.stopping import Stop

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


def _archive(database: Database) -> None:
    """All rows but the newest leave; one row about it comes."""
    audit_archive.Events().leave(database, clock.now() + timedelta(days=1), lambda _: None)


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


class TestArchived:
    def test_a_record_of_the_archives_that_was_changed_vouches_for_nothing(
        self, database: Database
    ) -> None:
        _write(database, 5)
        _archive(database)
        assert _verify(database) == Verification(True, 6, None)
        _tamper(database, "UPDATE audit_archives SET last = last + 1")
        assert _verify(database) == Verification(
            False, 0, 1, "the record of the archives was changed"
        )

    def test_rows_that_leave_while_they_are_walked_are_not_missing(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the servers show it: the walk began at the first row, and finds the fifth."""
        _write(database, 5)
        _archive(database)
        real, asked = audit.archived, []

        def first_before(*key: object) -> object:
            asked.append(key)
            return (0, GENESIS) if len(asked) == 1 else real(*key)  # type: ignore[arg-type]

        monkeypatch.setattr(audit, "archived", first_before)
        assert _verify(database) == Verification(True, 6, None)
        asked.clear()
        with database.read() as session:
            found = audit.verify(session, kept={5: "0" * 64})
        assert found == Verification(False, 5, 5, "row 5 was replaced")

    def test_a_row_that_is_missing_is_so_though_others_left(self, database: Database) -> None:
        _write(database, 3)
        _archive(database)
        _write(database, 2)
        _tamper(database, "DELETE FROM audit_events WHERE number = 5")
        assert _verify(database) == Verification(False, 5, 5, "row 5 is missing")

    def test_the_checkpoints_row_may_have_left(self, database: Database) -> None:
        _write(database, 4)
        hashes = {number: _hash(database, number) for number in (1, 2, 3, 4)}
        _archive(database)
        key = database.ask(audit.key_of)

        def there(number: int, row_hash: str) -> bool:
            return database.ask(audit._still_there, key, (number, row_hash))

        assert there(4, hashes[4])
        assert not there(4, "0" * 64)
        assert there(3, hashes[3])
        assert not there(3, "0" * 64), "the newest archived row's hash is known"
        assert there(2, hashes[2])
        assert not there(9, "0" * 64)
        _tamper(database, "UPDATE audit_archives SET last = last + 1")
        assert not there(2, hashes[2])


class TestWalk:
    def test_a_good_end_alone_is_where_the_next_walk_begins(self, database: Database) -> None:
        _write(database, 3)
        _tamper(database, "DELETE FROM audit_events WHERE number = 3")
        assert not _verify(database).ok
        assert not audit.checkpoint_path().with_name(audit.VERIFIED_FILE).exists()

    @pytest.mark.parametrize("verified", ["none", "another row"])
    def test_without_a_good_row_all_of_it_is_walked(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, verified: str
    ) -> None:
        monkeypatch.setattr(audit, "ALWAYS_WHOLE", 2)
        _write(database, 4)
        if verified == "another row":
            audit._store_witness(database.ask(audit.key_of), audit.VERIFIED_FILE, 2, "0" * 64)
        _tamper(database, "UPDATE audit_events SET subject = 'y' WHERE number = 1")
        assert _verify(database, full=False).first_broken == 1

    @pytest.mark.parametrize(("whole", "found"), [(4, 1), (3, None)])
    def test_a_log_of_so_many_rows_behind_its_archives_is_walked_whole(
        self,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        whole: int,
        found: int | None,
    ) -> None:
        _write(database, 2)
        _archive(database)  # row 1 is gone; 2 and 3 are there
        _write(database, 2)
        assert _verify(database).ok
        _tamper(database, "UPDATE audit_events SET subject = 'y' WHERE number = 2")
        monkeypatch.setattr(audit, "ALWAYS_WHOLE", whole)
        broken = _verify(database, full=False).first_broken
        assert broken == (2 if found else None)

    def test_goes_by_number_whatever_the_table_gives_first(self, database: Database) -> None:
        _write(database, 3)
        _tamper(database, "UPDATE audit_events SET id = 99 WHERE number = 1")
        assert _verify(database) == Verification(True, 3, None)

    def test_a_head_that_moved_on_meanwhile_is_no_old_one(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the servers show it: the head was read before two more rows came."""
        _write(database, 3)
        heads = [database.ask(audit.head_of)]
        _write(database, 2)
        real = audit.head_of
        monkeypatch.setattr(
            audit, "head_of", lambda session: heads.pop() if heads else real(session)
        )
        assert _verify(database) == Verification(True, 5, None)

    def test_another_hash_of_no_rows(self, database: Database) -> None:
        _tamper(database, "UPDATE audit_head SET hash = 'x'")
        assert _verify(database) == Verification(
            False, 0, 1, "the last row does not match the head"
        )

    @pytest.mark.parametrize(("head", "rows"), [(True, 3), (False, 0)])
    def test_says_how_far_it_is(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, head: bool, rows: int
    ) -> None:
        _write(database, 3)
        if not head:
            _tamper(database, "DELETE FROM audit_head")
        steps: list[tuple[int, int]] = []
        monkeypatch.setattr(audit, "_may_go_on", lambda *step: steps.append(step))
        _verify(database)
        assert steps == [(1, rows), (2, rows), (3, rows)]

    def test_every_thousand_rows(self) -> None:
        stop = Stop()
        with stopping.by(stop):
            audit._may_go_on(999, 4_000)
            assert (stop.note, stop.share) == ("", 0.0)
            audit._may_go_on(1_000, 4_000)
            assert (stop.note, stop.share) == ("row 1,000", 0.25)
            audit._may_go_on(2_000, 0)
            assert (stop.note, stop.share) == ("row 2,000", 0.0)
