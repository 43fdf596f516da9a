"""Jobs per day and outcome."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.jobs import service
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext, job
from backend.jobs.schemas import DayCount
from backend.migrations import runner
from backend.models.jobs import Job

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def state(request: pytest.FixtureRequest, database: Database) -> Iterator[Database]:
    """The state database of each kind."""
    if request.param == "sqlite":
        yield database
        return
    opened = Database(request.getfixturevalue(f"{request.param}_url"))
    runner.upgrade(opened)
    yield opened
    opened.dispose()


def _jobs(state: Database, *made: tuple[timedelta, str]) -> None:
    @job("test.counted", title="Counted")
    def run(ctx: JobContext) -> None:
        ctx.log("ran")

    with state.write() as session:
        for ago, end in made:
            row = session.get_one(Job, enqueue(session, SYSTEM, "test.counted", {}, subject="x"))
            row.created_at, row.state = NOON - ago, end


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)


def test_jobs_are_counted_by_day_and_outcome(state: Database) -> None:
    day = timedelta(days=1)
    _jobs(
        state,
        (timedelta(0), "succeeded"),
        (timedelta(hours=11), "succeeded"),
        (timedelta(hours=13), "failed"),
        (2 * day, "failed"),
        (13 * day, "cancelled"),
        (14 * day, "succeeded"),
    )
    with state.read() as session:
        found = service.count_by_day(session, SYSTEM, days=14)
    assert found == (
        DayCount(date(2026, 2, 17), "cancelled", 1),
        DayCount(date(2026, 2, 28), "failed", 1),
        DayCount(date(2026, 3, 1), "failed", 1),
        DayCount(date(2026, 3, 2), "succeeded", 2),
    )


def test_more_days_than_are_drawn_are_refused(database: Database) -> None:
    with database.read() as session, pytest.raises(InvalidInput, match="between 1 and 92"):
        service.count_by_day(session, SYSTEM, days=93)
