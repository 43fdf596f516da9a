"""Periodic work: asking identity providers again, and clean-up of what sign-ins leave behind."""

from typing import Any

from backend.accounts import (
    backoff,
    backoff_repository,
    deployment,
    provider_flows,
    provider_sessions,
    repository,
    sessions,
    state_check,
)
from backend.core import clock, events
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.events import About
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import FAILED, JobContext, job
from backend.jobs.schedule import every


@every("accounts.clean_up", hours=6)
def clean_up(database: Database) -> None:
    """Forget sessions that ended a month ago, spent tickets and old back-off counters."""
    now = clock.now()
    with database.write() as session:
        repository.delete_old_sessions(session, now - sessions.KEEP_ENDED)
        repository.delete_expired_tickets(session, now)
        provider_flows.clean_up(session)
        provider_sessions.forget_logouts(session)
        backoff_repository.delete_old(session, now - backoff.KEPT)


@job(deployment.KIND, title="Prove the deployment", told=False)
def prove_deployment(ctx: JobContext) -> dict[str, Any]:
    """The report, of PORTAL_PUBLIC_URL."""

    def step(done: int, total: int, name: str) -> None:
        ctx.progress(done, total, note=name)

    return deployment.prove(ctx.database, ctx.actor, step=step).model_dump()


@every("accounts.check_state", hours=24)
def ask_for_check(database: Database) -> None:
    """Once a day; on Sundays from the first row of the audit log."""
    full = clock.now().weekday() == 6
    database.change(enqueue, SYSTEM, state_check.KIND, {"full": full}, subject="the portal's state")


# The witness that it compares the log with is in the portal's data folder; a worker on another
# machine has none, and would say that the log was changed.
@job(
    state_check.KIND,
    title="Check the state database and the audit log",
    resumable=True,
    told=False,
    portal=True,
)
def check_state(ctx: JobContext, *, full: bool) -> dict[str, Any]:
    """A finding fails the job, and a failed job is an alert."""
    problem = state_check.problem(ctx.database, full=full)
    with ctx.database.write() as session:
        if problem:
            about = About("The audit log or the state database is not whole", "audit")
            events.raised(session, "accounts.state_damaged", "state", about)
        else:
            events.over(session, "accounts.state_damaged", "state", "The check finds all whole")
    return {FAILED: problem} if problem else {"full": full}


@every("accounts.check_providers", minutes=1)
def check_providers(database: Database) -> None:
    """Ask the identity providers about live sessions, each every five minutes."""
    provider_sessions.check_due(database)
