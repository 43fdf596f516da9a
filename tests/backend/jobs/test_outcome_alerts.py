"""How a job can end, whatever its kind, and what the Overview says of it."""

from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import update

from backend import composition
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.core.database import Database
from backend.jobs import alerts, registry
from backend.jobs.enqueue import enqueue
from backend.jobs.schemas import State
from backend.models import Job

pytestmark = pytest.mark.usefixtures("kinds")

#: State of a job → how severe its alert is, or "" and why there is none.
OUTCOMES: dict[State, tuple[str, str]] = {
    "queued": ("", "it has not ended; what no worker takes in time is told as stuck"),
    "running": ("", "it has not ended; one without a heartbeat is told as stuck"),
    "succeeded": ("", "it did what it was asked for"),
    "failed": ("warning", ""),
    "interrupted": ("warning", ""),
    "cancelled": ("", "somebody asked for it"),
}


def ended(database: Database, state: str, *, kind: str = "test.count", **more: object) -> int:
    with database.write() as session:
        job_id = enqueue(session, SYSTEM, "test.count", {"to": 1}, subject="it")
        now = clock.now()
        values = {"state": state, "kind": kind, "heartbeat_at": now, "finished_at": now, **more}
        session.execute(update(Job).where(Job.id == job_id).values(**values))
    return job_id


def said(database: Database) -> list[Alert]:
    with database.read() as session:
        return alerts.alerts(session, SYSTEM)


def test_every_state_of_a_job_is_in_the_table() -> None:
    assert set(OUTCOMES) == set(get_args(State))
    assert all(bool(severity) != bool(why) for severity, why in OUTCOMES.values())


@pytest.mark.parametrize("state", OUTCOMES)
def test_what_is_said_of_it(database: Database, state: State) -> None:
    job_id = ended(database, state)
    severity, _ = OUTCOMES[state]
    found = [(item.severity, item.page, item.query) for item in said(database)]
    assert found == [(severity, "jobs", (("job", str(job_id)),))] * bool(severity)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_one_that_does_not_end_is_told_as_stuck(database: Database, state: State) -> None:
    long_ago = clock.now() - timedelta(hours=1)
    ended(database, state, heartbeat_at=long_ago, created_at=long_ago, finished_at=None)
    assert [item.severity for item in said(database)] == ["error"]


def test_a_failure_of_every_kind_of_job_is_told(database: Database) -> None:
    composition.install()
    registry.load_all()
    kinds = sorted(registry._kinds)
    assert len(kinds) > 15
    numbers = {ended(database, "failed", kind=kind) for kind in kinds}
    shown = said(database)
    told = sum(1 for item in shown if item.query and int(dict(item.query)["job"]) in numbers)
    # The first few by name, and how many more.
    assert shown[-1].text == f"{len(kinds) - told} more jobs did not end well in the last 7 days."


@pytest.mark.parametrize(("later", "left"), [("succeeded", 0), ("cancelled", 1), ("failed", 1)])
def test_a_later_end_answers_it_and_a_cancelled_one_does_not(
    database: Database, later: State, left: int
) -> None:
    ended(database, "failed")
    newest = ended(database, later)
    found = [dict(item.query)["job"] for item in said(database)]
    assert len(found) == left
    assert (str(newest) in found) == (later == "failed")
