"""Look at jobs, wait for one, ask one to stop."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import get_args

from backend.core import access, audit, choices, clock
from backend.core.access import Actor, Permission, Role
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotPermitted
from backend.jobs import registry, repository
from backend.jobs.errors import JobFinished, JobNotFound
from backend.jobs.schemas import DayCount, JobPage, JobView, KindCount, LogLine, State

MAX_PAGE = 200
MAX_DAYS = 92
#: How many jobs a count by day looks at.
COUNTED = 20_000
#: How jobs ended that were open in a backup; what became of them afterwards is not on record.
RESTORED = (
    "The portal's state was restored from a backup that was made before this job ended. "
    "Look at what it concerns before you start it again: a part may have been done."
)


def get(session: ReadSession, actor: Actor, *, job_id: int) -> JobView:
    """One job. Raises JobNotFound."""
    access.require(actor, Permission.JOBS_READ)
    return repository.view(repository.get(session, job_id))


def is_open(session: ReadSession, actor: Actor, *, job_id: int | None) -> bool:
    """Whether the job is on record and has not ended; of None: no."""
    access.require(actor, Permission.JOBS_READ)
    try:
        return job_id is not None and not get(session, actor, job_id=job_id).ended
    except JobNotFound:
        return False


def list_jobs(
    session: ReadSession,
    actor: Actor,
    *,
    limit: int = 50,
    before: int | None = None,
    states: Sequence[str] = (),
    kind: str = "",
    actor_name: str = "",
    subject: str = "",
) -> JobPage:
    """Jobs newest first, at most 200 a page. kind: a kind or a domain ("user_sync"). subject:
    all of it. A search with several filters may give a short page with a `next_cursor`.

    Raises UnknownChoice for an unknown state, and for a kind that neither a job has nor one can.
    """
    access.require(actor, Permission.JOBS_READ)
    choices.check_limit(limit, MAX_PAGE)
    for state in states:
        choices.check("status", state, get_args(State))
    found = repository.list_jobs(
        session,
        limit=limit,
        before=before,
        states=states,
        kind=kind,
        actor_name=actor_name,
        subject=subject,
    )
    if kind and not found.rows and found.next_cursor is None:
        choices.check("kind of run", kind, registry.names())
    return JobPage(tuple(map(repository.view, found.rows)), found.next_cursor)


def find_newest(session: ReadSession, actor: Actor, *, kind: str, subject: str) -> JobView | None:
    """The job of this kind and subject that was made last."""
    access.require(actor, Permission.JOBS_READ)
    row = repository.find_newest(session, kind=kind, subject=subject)
    return repository.view(row) if row is not None else None


def is_at_work(session: ReadSession, actor: Actor) -> bool:
    """Whether something that the actor started is not over."""
    access.require(actor, Permission.JOBS_READ)
    return repository.has_open(session, actor.name)


def count_by_day(session: ReadSession, actor: Actor, *, days: int = 14) -> tuple[DayCount, ...]:
    """Jobs per UTC day and state over the last `days` days, today included, oldest first.

    Of the newest 20,000 jobs.
    """
    access.require(actor, Permission.JOBS_READ)
    return tuple(repository.count_by_day(session, since=_first_of(days), most=COUNTED))


def count_by_kind(session: ReadSession, actor: Actor, *, days: int = 14) -> tuple[KindCount, ...]:
    """Jobs per UTC day, state and kind, over the same days and jobs as count_by_day."""
    access.require(actor, Permission.JOBS_READ)
    return tuple(repository.count_by_kind(session, since=_first_of(days), most=COUNTED))


def _first_of(days: int) -> datetime:
    """Midnight (UTC) at the start of the last `days` days, today included."""
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"days must be between 1 and {MAX_DAYS}.")
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def lines(
    session: ReadSession, actor: Actor, *, job_id: int, after: int = 0, limit: int = 200
) -> tuple[LogLine, ...]:
    """The newest lines of a job's log, oldest first."""
    access.require(actor, Permission.JOBS_READ)
    return tuple(repository.list_lines(session, job_id, after=after, limit=min(limit, 1000)))


def cancel(session: WriteSession, actor: Actor, *, job_id: int) -> JobView:
    """Ask a job to stop at its next safe point; a queued one ends at once.

    Raises JobNotFound, JobFinished when it has ended, NotPermitted for somebody else's job
    (admins may, but not by a token that is limited to some environments).
    """
    access.require(actor, Permission.JOBS_CANCEL)
    row = repository.lock(session, job_id)
    admin = actor.role is Role.ADMIN and access.reach() is None  # a job names no environment
    if not admin and (row.actor_id, row.actor_kind) != (actor.id, actor.kind):
        raise NotPermitted(f"Run {job_id} was started by {row.actor_name}; ask them or an admin.")
    if row.state not in ("queued", "running"):
        raise JobFinished(job_id, row.state)
    row.cancel_requested = True
    if row.state == "queued":
        row.state = "cancelled"
        row.finished_at = clock.now()
        row.error = "Cancelled before it started."
    audit.record(
        session,
        actor,
        Permission.JOBS_CANCEL.value,
        subject=f"job {job_id}",
        details={"kind": row.kind, "subject": row.subject},
    )
    session.flush()
    return repository.view(row)


def interrupt_open(session: WriteSession, actor: Actor) -> int:
    """End every job that is queued or running, with RESTORED as its end; how many.

    For a state that was restored: its open jobs ended long ago, or must be looked at first.
    """
    access.require(actor, Permission.BACKUP_RESTORE)
    return repository.interrupt_open(session, RESTORED)


def wait(database: Database, job_id: int, *, timeout: float, poll: float = 0.1) -> JobView:
    """Poll until the job has ended or `timeout` seconds are over; returns what it is then."""
    deadline = time.monotonic() + timeout
    while True:
        with database.read() as session:
            view = repository.view(repository.get(session, job_id))
        if view.ended or time.monotonic() >= deadline:
            return view
        time.sleep(poll)
