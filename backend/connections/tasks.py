"""Background work of this room, on a schedule: client info, and the connections' health."""

from typing import Any

from backend.connections import client_info, environments, repository, testing
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext, job
from backend.jobs.schedule import every

REFRESH_EVERY_HOURS = 6


@job("connections.refresh_client_info", title="Refresh DataHub client info", resumable=True)
def refresh_client_info(ctx: JobContext) -> dict[str, Any]:
    """Refresh every environment; an unreachable one is recorded and does not stop the others."""
    with ctx.database.read() as session:
        found = [environments.view(row) for row in repository.list_environments(session)]
    ended = {"refreshed": 0, "failed": 0, "skipped": 0}
    for number, environment in enumerate(found):
        ctx.progress(number, len(found), note=environment.name)
        outcome = client_info.refresh_one(ctx.database, ctx.actor, environment=environment)
        ended[outcome.outcome] += 1
        ctx.log(
            f"{outcome.environment}: {outcome.outcome} {outcome.error or outcome.client_id}".strip()
        )
    ctx.progress(len(found), len(found))
    return ended


@every("connections.client_info", hours=REFRESH_EVERY_HOURS)
def schedule_refresh(database: Database) -> None:
    """Queue a refresh when there is any environment to refresh."""
    with database.write() as session:
        if repository.count_environments(session):
            enqueue(
                session,
                SYSTEM,
                "connections.refresh_client_info",
                {},
                subject="client info of all environments",
            )


@job("connections.test", title="Test connections", resumable=True, told=False)
def run_tests(ctx: JobContext) -> dict[str, Any]:
    """Test what was not tested for `testing.EVERY`; a failed one is an alert, not a failed job."""
    return testing.run_overdue(ctx.database, ctx.actor, progress=ctx.progress)


@every("connections.test", minutes=60)
def schedule_tests(database: Database) -> None:
    """Queue the tests that are due, unless they are at it."""
    with database.write() as session:
        going = jobs.list_jobs(
            session, SYSTEM, limit=1, states=("queued", "running"), kind="connections.test"
        )
        if testing.overdue(session) and not going.items:
            enqueue(session, SYSTEM, "connections.test", {}, subject="what was not tested of late")
