"""Housekeeping of the jobs themselves."""

from datetime import timedelta
from typing import Any

from backend.core import audit_archive, clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.retention import Rule
from backend.core.settings import MIN_DAYS
from backend.jobs import repository, retention
from backend.jobs.registry import JobContext, job
from backend.jobs.schedule import every

KEEP_LINES = timedelta(days=30)


@every("jobs.forget_old_lines", hours=6)
def forget_old_lines(database: Database) -> None:
    """Delete log lines older than 30 days; the jobs' rows stay."""
    database.change(repository.delete_lines_before, clock.now() - KEEP_LINES)


@every(retention.KIND, hours=24)
def ask_for_clean_up(database: Database) -> None:
    """Not in a portal whose oldest event is younger than what any rule lets go."""
    with database.write() as session:
        began = audit_archive.began_at(session)
        if began is None or clock.now() - began < timedelta(days=MIN_DAYS):
            return
        retention.start(session, SYSTEM)


# The archives go where the key file and the checkpoint are.
@job(retention.KIND, title="Remove old rows", resumable=True, portal=True)
def clean_up(ctx: JobContext) -> dict[str, Any]:
    """What is removed is said by table; a log that was changed fails the job, which is an alert."""

    def step(rule: Rule, done: int) -> None:
        ctx.check_cancelled()
        ctx.progress(done, note=rule.table)

    return {"removed": retention.run(ctx.database, ctx.actor, step=step)}
