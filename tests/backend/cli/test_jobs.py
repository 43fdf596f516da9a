"""The jobs and alerts commands show and do what the pages do."""

import json

from sqlalchemy import update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs.enqueue import enqueue
from backend.models.jobs import Job
from tests.backend.cli.conftest import RunCli


def queue(database: Database, subject: str = "all") -> int:
    with database.write() as session:
        return enqueue(session, SYSTEM, "connections.refresh_client_info", {}, subject=subject)


def test_list_pages_with_its_cursor(run_cli: RunCli, database: Database) -> None:
    first, second = queue(database, "one"), queue(database, "two")
    page = json.loads(run_cli("jobs", "list", "--limit", "1", "--json").out)
    assert ([job["id"] for job in page["items"]], page["next_cursor"]) == ([second], second)
    rest = json.loads(run_cli("jobs", "list", "--cursor", str(second), "--json").out)
    assert ([job["id"] for job in rest["items"]], rest["next_cursor"]) == ([first], None)
    assert "one" in run_cli("jobs", "list", "--kind", "connections").out
    assert "one" not in run_cli("jobs", "list", "--status", "failed").out


def test_cancel_ends_a_waiting_job_and_refuses_an_ended_one(
    run_cli: RunCli, database: Database
) -> None:
    job_id = queue(database)
    assert run_cli("jobs", "cancel", str(job_id)).status == 1
    ended = run_cli("jobs", "cancel", str(job_id), "--yes")
    assert f"Run {job_id}: Refresh DataHub client info (all) is cancelled." in ended.out
    again = run_cli("jobs", "cancel", str(job_id), "--yes")
    assert (again.status, "has already ended" in again.err or "cancelled" in again.err) == (1, True)
    assert json.loads(run_cli("jobs", "show", str(job_id), "--json").out)["job"]["status"] == (
        "cancelled"
    )
    missing = run_cli("jobs", "show", "99")
    assert (missing.status, "99" in missing.err) == (1, True)


def test_alerts_tell_of_a_failed_job(run_cli: RunCli, database: Database) -> None:
    job_id = queue(database)
    with database.write() as session:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(state="failed", error="Nobody is there.", finished_at=clock.now())
        )
    items = json.loads(run_cli("alerts", "--json").out)["items"]
    mine = [item for item in items if item["page"] == "jobs"]
    assert [item["severity"] for item in mine] == ["warning"]
    assert "failed. Nobody is there." in run_cli("alerts").out
