"""How a run of ingestion can end, and what the Overview says of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.core.database import Database
from backend.ingestion import alerts
from backend.ingestion.dispatch import SENDING_SECONDS
from backend.ingestion.reports import ALERT_TRIES
from backend.ingestion.schemas import RunView, Status
from backend.models import IngestionRun
from tests.backend.ingestion.conftest import URN

#: Status of a run → how severe its alert is, or "" and why there is none.
OUTCOMES: dict[Status, tuple[str, str]] = {
    "accepted": ("", "AWS has taken it, and a Lambda that leaves no trace says no more"),
    "running": ("", "it has not ended"),
    "succeeded": ("", "the dataset is ingested"),
    "failed": ("warning", ""),
    "unknown": ("warning", ""),
}

Start = Callable[..., RunView]


@pytest.fixture
def ended(database: Database, mapped: str, start: Start) -> Callable[..., str]:
    def end(status: str, *, days: int = 0, **more: object) -> str:
        run_id = start(URN).run_id
        settled = status != "running"
        values = {"status": status, "settled": settled, "active_key": None, **more}
        values["created_at"] = clock.now() - timedelta(days=days)
        with database.write() as session:
            mine = update(IngestionRun).where(IngestionRun.run_id == run_id)
            session.execute(mine.values(**values))
        return run_id

    return end


def said(database: Database) -> list[Alert]:
    with database.read() as session:
        return alerts.alerts(session, SYSTEM)


def test_every_status_of_a_run_is_in_the_table() -> None:
    assert set(OUTCOMES) == set(get_args(Status))
    assert all(bool(severity) != bool(why) for severity, why in OUTCOMES.values())


@pytest.mark.parametrize("status", OUTCOMES)
def test_what_is_said_of_it(database: Database, ended: Callable[..., str], status: Status) -> None:
    run_id = ended(status)
    severity, _ = OUTCOMES[status]
    found = [(item.severity, dict(item.query)["run"], item.action) for item in said(database)]
    # What may have been done is only looked at, never asked for again from here.
    action = "retry" if status == "failed" else "open"
    assert found == [(severity, run_id, action)] * bool(severity)


@pytest.mark.parametrize(
    ("later", "left"),
    [("succeeded", 0), ("accepted", 0), ("failed", 1), ("unknown", 1), ("running", 1)],
)
def test_a_later_run_answers_it_once_it_has_ended(
    database: Database, ended: Callable[..., str], later: Status, left: int
) -> None:
    ended("failed")
    newest = ended(later)
    found = [dict(item.query)["run"] for item in said(database)]
    assert len(found) == left
    assert (newest in found) == (later in ("failed", "unknown"))


def test_a_week_later_it_is_history(database: Database, ended: Callable[..., str]) -> None:
    ended("failed", days=8)
    assert said(database) == []


@pytest.mark.parametrize(("tries", "left"), [(ALERT_TRIES - 1, 0), (ALERT_TRIES, 1)])
def test_an_end_that_datahub_does_not_take_is_told_of_a_good_run_too(
    database: Database, ended: Callable[..., str], tries: int, left: int
) -> None:
    ended("succeeded", report_tries=tries)
    assert len(said(database)) == left


@pytest.mark.parametrize(("seconds", "left"), [(0, 0), (SENDING_SECONDS + 5, 1)])
def test_a_start_that_aws_has_not_answered_yet_is_no_alert_until_its_time_is_over(
    database: Database, ended: Callable[..., str], seconds: int, left: int
) -> None:
    sent = clock.now() - timedelta(seconds=seconds)
    ended("unknown", answered=False, settled=False, sent_at=sent)
    assert len(said(database)) == left


def test_a_start_on_its_way_does_not_answer_the_failure_before_it(
    database: Database, ended: Callable[..., str]
) -> None:
    failed = ended("failed")
    ended("unknown", answered=False, settled=False, sent_at=clock.now())
    assert [dict(item.query)["run"] for item in said(database)] == [failed]
