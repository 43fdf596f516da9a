"""Long lists: what a page of them reads, and that paging finds every row on every database."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from backend.accounts import audit_log
from backend.accounts.audit_log import AuditFilter
from backend.core import audit, clock, newest
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.models import AuditEvent, IngestionRun, Job, SyncPlan, SyncRun, TokenizationRun
from benchmarks import _history_calls, history

HISTORY = {
    table.__tablename__
    for table in (AuditEvent, Job, IngestionRun, TokenizationRun, SyncPlan, SyncRun)
}


def _plans(database: Database, call: Any) -> list[tuple[str, str]]:
    """(statement, a line of SQLite's plan for it) of what a call asks."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        call(database)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        return [
            (statement, str(line[3]))
            for statement, values in asked
            for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]


def test_no_page_list_filter_or_task_reads_a_whole_table_of_history(database: Database) -> None:
    history.fill(database.url, history.Size(30, 0.0002))
    asked = 0
    whole = []
    for title, call in _history_calls.everything():
        for statement, line in _plans(database, call):
            asked += 1
            words = line.split()
            # The newest of all is the beginning of an index: a scan that a LIMIT ends.
            if words[0] == "SCAN" and words[1] in HISTORY and "WHERE" in statement:
                whole.append((title, line, statement))
    assert asked > 50
    assert not whole


def test_a_plan_that_scans_is_seen(database: Database) -> None:
    """The check above can fail."""
    history.fill(database.url, history.Size(30, 0.0002))

    def bad(opened: Database) -> None:
        with opened.read() as session:
            session.scalars(select(AuditEvent).where(AuditEvent.details == "x")).all()

    assert any(line.startswith("SCAN audit_events") for _, line in _plans(database, bad))


def test_paging_finds_every_row_of_every_filter(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "STRETCH", 7)
    outcomes = ("succeeded", "failed", "refused")
    with any_database.write() as session:
        for number in range(60):
            audit.record(
                session,
                SYSTEM,
                f"area{number % 2}:thing:verb{number % 5}",
                subject=f"row {number} of {'some' if number % 11 else 'rare'}",
                outcome=outcomes[number % 3],
            )
    for filters in (
        AuditFilter(),
        AuditFilter(outcome="failed"),
        AuditFilter(action="area1:"),
        AuditFilter(action="area1:thing:verb3"),
        AuditFilter(action="area0:", outcome="refused"),
        AuditFilter(actor=SYSTEM.name, outcome="failed"),
        AuditFilter(actor="nobody", action="area0:"),
        AuditFilter(actor=SYSTEM.name, action="area0:", outcome="refused"),
        AuditFilter(subject="rare"),
        AuditFilter(subject="rare", outcome="failed", actor=SYSTEM.name),
        AuditFilter(since=clock.now() - timedelta(hours=1), outcome="failed"),
    ):
        assert _paged(any_database, filters) == _fitting(any_database, filters)


def test_what_never_was_is_an_empty_page_at_the_end(any_database: Database) -> None:
    with any_database.write() as session:
        for number in range(10):
            audit.record(session, SYSTEM, "a:b:c", subject=f"row {number}")
    for filters in (
        AuditFilter(action="accounts:account:rename"),
        AuditFilter(outcome="withdrawn"),
        AuditFilter(subject="x"),
        AuditFilter(until=clock.now() - timedelta(days=1)),
        AuditFilter(since=clock.now() + timedelta(days=1)),
    ):
        with any_database.read() as session:
            page = audit_log.list_events(session, SYSTEM, filters=filters)
        assert (page.items, page.next_cursor) == ([], None)


def test_a_search_says_where_it_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "STRETCH", 4)
    with database.write() as session:
        for number in range(10):
            audit.record(session, SYSTEM, "a:b:c", subject="old" if number == 0 else "new")
    with database.read() as session:
        page = audit_log.list_events(session, SYSTEM, filters=AuditFilter(subject="old"))
    assert page.items == []
    assert page.next_cursor is not None
    made = _export(database, AuditFilter(subject="old"))
    assert made.rows == 1


@pytest.mark.parametrize(
    "title",
    [
        "audit by person and outcome without a hit",
        "runs by kind and state without a hit",
        "ingestion runs by environment and rare status",
    ],
)
def test_two_filters_are_answered_by_one_index(database: Database, title: str) -> None:
    history.fill(database.url, history.Size(30, 0.0002))
    (call,) = [call for name, call in _history_calls.everything() if name == title]
    keys = [
        line
        for statement, line in _plans(database, call)
        if "LIMIT" in statement and "USING COVERING INDEX" in line
    ]
    assert keys
    for line in keys:
        assert line.split("(")[1].count("=?") == 2, line


def test_distinct_names_every_value_once(any_database: Database) -> None:
    with any_database.write() as session:
        for name in ("b:x", "a:x", "b:x", "c:x", "a:x"):
            audit.record(session, SYSTEM, name, subject="row")
    with any_database.read() as session:
        assert sorted(newest.distinct(session, AuditEvent.action)) == ["a:x", "b:x", "c:x"]
        of_x = newest.distinct(session, AuditEvent.outcome, AuditEvent.action == "nothing")
        assert of_x == []


def _export(database: Database, filters: AuditFilter) -> audit_log.Export:
    with database.write() as session:
        return audit_log.export_csv(session, SYSTEM, filters=filters)


def _paged(database: Database, filters: AuditFilter) -> list[int]:
    numbers: list[int] = []
    before: int | None = None
    for _ in range(200):
        with database.read() as session:
            page = audit_log.list_events(session, SYSTEM, filters=filters, before=before, limit=5)
        numbers += [row.number for row in page.items]
        before = page.next_cursor
        if before is None:
            return numbers
    raise AssertionError("the pages do not end")


def _fitting(database: Database, filters: AuditFilter) -> list[int]:
    """The same without any index: every row, looked at in Python."""
    with database.read() as session:
        rows = session.scalars(select(AuditEvent).order_by(AuditEvent.number.desc())).all()
    return [
        row.number
        for row in rows
        if (not filters.outcome or row.outcome == filters.outcome)
        and (not filters.actor or row.actor_name == filters.actor)
        and row.action.startswith(filters.action)
        and filters.subject in row.subject
        and (filters.since is None or row.at >= filters.since)
    ]
