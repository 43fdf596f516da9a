"""What this package tells people of."""

from backend.core.access import Permission
from backend.core.events import Kind

EVENTS = (
    Kind("jobs.failed", "A run failed", Permission.JOBS_CANCEL),
    Kind("jobs.unknown", "A run's outcome is unknown", Permission.JOBS_CANCEL, "error"),
    Kind("jobs.finished", "A run finished", Permission.JOBS_READ, "info", silent=True),
    Kind("jobs.stuck", "A worker no longer answers", Permission.JOBS_CANCEL, "error"),
    Kind("jobs.leader_lost", "The process that led the schedule was lost", Permission.JOBS_CANCEL),
)
