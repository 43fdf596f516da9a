"""The clean-up's faces: command and job remove the same, say it, and leave it in the audit log."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.settings import get_settings
from backend.jobs import retention, runner
from backend.models import AuditEvent, Job
from benchmarks import _history_rows
from tests.backend.cli.conftest import RunCli, run_cli  # noqa: F401 - a fixture

Bearer = Callable[[str], dict[str, str]]


@pytest.fixture(autouse=True)
def old_jobs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of three years ago; the newest of all always stays."""
    monkeypatch.setenv("PORTAL_KEEP_JOBS_DAYS", "365")
    get_settings.cache_clear()
    long_ago = clock.now() - timedelta(days=1100)
    with database.write() as session:
        session.execute(insert(Job), [_history_rows.job(n, long_ago) for n in range(4)])
        session.execute(update(Job).values(state="succeeded"))


def _jobs(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def _said(database: Database) -> list[dict[str, object]]:
    query = select(AuditEvent.details).where(AuditEvent.action == "state:retention:run")
    with database.read() as session:
        return [json.loads(text) for text in session.scalars(query)]


def test_a_dry_run_says_what_would_leave_and_changes_nothing(
    run_cli: RunCli,  # noqa: F811 - the fixture
    database: Database,
) -> None:
    items = json.loads(run_cli("retention", "--dry-run", "--json").out)["items"]
    assert {item["table"]: item["due"] for item in items if item["due"]} == {"jobs": 3}
    [job] = [item for item in items if item["table"] == "jobs"]
    assert (job["setting"], job["days"]) == ("PORTAL_KEEP_JOBS_DAYS", 365)
    [events] = [item for item in items if item["table"] == "audit_events"]
    assert (events["days"], "for ever" in events["kept"]) == (None, True)
    assert "WOULD LEAVE" in run_cli("retention", "--dry-run").out
    assert (_jobs(database), _said(database)) == (4, [])


def test_the_command_asks_and_removes(
    run_cli: RunCli,  # noqa: F811 - the fixture
    database: Database,
) -> None:
    refused = run_cli("retention")
    assert (refused.status, _jobs(database)) == (1, 4)
    done = run_cli("retention", "--yes", "--json")
    assert json.loads(done.out) == {"removed": {"jobs": 3}}
    assert (_jobs(database), _said(database)) == (1, [{"removed": {"jobs": 3}}])
    assert "No row is old enough." in run_cli("retention", "--yes").out


def test_the_job_does_the_same(database: Database) -> None:
    with database.write() as session:
        job_id = retention.start(session, SYSTEM)
    assert runner.run(job_id, database)
    with database.read() as session:
        row = session.get_one(Job, job_id)
        assert (row.state, row.result) == ("succeeded", {"removed": {"jobs": 4}})
    assert _said(database) == [{"removed": {"jobs": 4}}]
