"""Housekeeping of the jobs themselves."""

from datetime import timedelta

from backend.core import clock
from backend.core.database import Database
from backend.jobs import repository
from backend.jobs.schedule import every

KEEP_LINES = timedelta(days=30)


@every("jobs.forget_old_lines", hours=6)
def forget_old_lines(database: Database) -> None:
    """Delete log lines older than 30 days; the jobs' rows stay."""
    with database.write() as session:
        repository.delete_lines_before(session, clock.now() - KEEP_LINES)
