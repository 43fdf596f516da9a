"""Background work of change control."""

from typing import Any

from backend.changes import lifecycle, service
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs.registry import FAILED, JobContext, job
from backend.jobs.schedule import every


@job(lifecycle.KIND, title="Carry out an approved change", resumable=True, told=False)
def carry_out(ctx: JobContext, *, change_id: int) -> dict[str, Any]:
    """Fails when the change was refused or did not end well."""
    lifecycle.carry_out(ctx.database, change_id)
    view = ctx.database.ask(service.get, SYSTEM, change_id=change_id)
    result: dict[str, Any] = {"change_id": change_id, "status": view.status, "run_id": view.run_id}
    if view.status in ("failed", "refused", "unknown"):
        result[FAILED] = view.outcome
    return result


@every("changes.track", seconds=5)
def track(database: Database) -> None:
    lifecycle.track(database)
