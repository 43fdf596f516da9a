"""Periodic clean-up of what sign-ins leave behind."""

from backend.accounts import backoff, repository, sessions
from backend.core import clock
from backend.core.database import Database
from backend.jobs.schedule import every


@every("accounts.clean_up", hours=6)
def clean_up(database: Database) -> None:
    """Forget sessions that ended a month ago, spent tickets and old back-off counters."""
    now = clock.now()
    with database.write() as session:
        repository.delete_old_sessions(session, now - sessions.KEEP_ENDED)
        repository.delete_expired_tickets(session, now)
        repository.delete_old_backoff(session, now - backoff.FORGET_AFTER)
