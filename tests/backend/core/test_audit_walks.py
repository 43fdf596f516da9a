"""Walking the audit log's chain: behind archives, while others write, from where it was whole."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from backend.core import audit, audit_archive, clock, stopping
from backend.core.access import SYSTEM
from backend.core.audit import Verification
from backend.core.audit_base import GENESIS
from backend.core.database import Database
from backend.core.stopping import Stop


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
