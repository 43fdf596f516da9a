"""All SQL of the background jobs."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Subquery, and_, bindparam, case, delete, func, literal, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.core import clock, newest
from backend.core.database import ReadSession, UtcDateTime, WriteSession, database_now
from backend.jobs.errors import JobNotFound
from backend.jobs.schemas import DayCount, JobView, KindCount, LogLine
from backend.models.jobs import Job, JobLine


def view(row: Job) -> JobView:
    fields = {name: getattr(row, name) for name in JobView.__dataclass_fields__}
    return JobView(**fields)


def get(session: ReadSession, job_id: int) -> Job:
    row = session.get(Job, job_id, populate_existing=True)
    if row is None:
        raise JobNotFound(job_id)
    return row


def lock(session: WriteSession, job_id: int) -> Job:
    """The row as it is now, held until commit: no worker claims or ends it in between."""
    row = session.get(Job, job_id, populate_existing=True, with_for_update=True)
    if row is None:
        raise JobNotFound(job_id)
    return row


def list_jobs(
    session: ReadSession,
    *,
    limit: int,
    before: int | None,
    states: Sequence[str] = (),
    kind: str = "",
    actor_name: str = "",
    subject: str = "",
) -> newest.Found[Job]:
    exact: dict[InstrumentedAttribute[Any], Sequence[str]] = {
        Job.state: states,
        Job.actor_name: [actor_name] if actor_name else (),
        Job.subject: [subject] if subject else (),
    }
    if kind:
        known = newest.distinct(session, Job.kind)
        exact[Job.kind] = [each for each in known if each == kind or each.startswith(f"{kind}.")]
        if not exact[Job.kind]:
            return newest.Found([], None)
    return newest.page(session, select(Job), Job.id, exact=exact, limit=limit, before=before)


def find_newest(session: ReadSession, *, kind: str, subject: str) -> Job | None:
    """The one of a kind and subject that was made last; without what a list needs."""
    wanted = and_(Job.kind == kind, Job.subject == subject)
    return session.scalar(select(Job).where(wanted).order_by(Job.id.desc()).limit(1))


#: Built once: every run of a page asks it, and building takes longer than asking.
_OPEN = (
    select(Job.id)
    .where(Job.actor_name == bindparam("actor_name"), Job.state.in_(("queued", "running")))
    .limit(1)
)


def has_open(session: ReadSession, actor_name: str) -> bool:
    """Whether one of theirs waits or runs; without what a list needs."""
    return session.scalar(_OPEN, {"actor_name": actor_name}) is not None


def count_by_day(session: ReadSession, *, since: datetime, most: int) -> list[DayCount]:
    """Jobs per UTC day of creation and state, oldest first, of the newest `most` jobs."""
    recent = _recent(since, most)
    day = func.date(recent.c.created_at)
    query = (
        select(day, recent.c.state, func.count())
        .group_by(day, recent.c.state)
        .order_by(day, recent.c.state)
    )
    # SQLite tells a day as text, the others as a date.
    return [
        DayCount(date.fromisoformat(str(at)), state, count)
        for at, state, count in session.execute(query)
    ]


def count_by_kind(session: ReadSession, *, since: datetime, most: int) -> list[KindCount]:
    """Jobs per UTC day of creation, state and kind, of the newest `most` jobs."""
    recent = _recent(since, most)
    per = (func.date(recent.c.created_at), recent.c.state, recent.c.kind)
    query = select(*per, func.count()).group_by(*per)
    return [
        KindCount(date.fromisoformat(str(at)), state, count, kind)
        for at, state, kind, count in session.execute(query)
    ]


def _recent(since: datetime, most: int) -> Subquery:
    """The newest jobs since then: ix_jobs_created has all of these columns."""
    return (
        select(Job.created_at, Job.state, Job.kind)
        .where(Job.created_at >= since)
        .order_by(Job.created_at.desc())
        .limit(most)
        .subquery()
    )


def claim(session: WriteSession, job_id: int, worker: str) -> Job | None:
    """Take a queued job; None when somebody else has it or it has ended."""
    now = database_now(session)
    changed = _execute(
        session,
        update(Job)
        .where(Job.id == job_id, Job.state == "queued")
        .values(
            state="running",
            worker=worker,
            attempt=Job.attempt + 1,
            started_at=now,
            heartbeat_at=now,
            error=None,
        ),
    )
    return get(session, job_id) if changed else None


def is_owned(session: ReadSession, job_id: int, holder: str, attempt: int) -> bool:
    """Whether this worker holds the job, in this attempt."""
    row = get(session, job_id)
    return (row.worker, row.attempt, row.state) == (holder, attempt, "running")


def update_owned(
    session: WriteSession, job_id: int, holder: str, attempt: int, /, **values: Any
) -> bool:
    """Change a running job, but only while this worker still holds it."""
    return bool(
        _execute(
            session,
            update(Job)
            .where(
                Job.id == job_id,
                Job.worker == holder,
                Job.attempt == attempt,
                Job.state == "running",
            )
            .values(**values),
        )
    )


def hand_back(
    session: WriteSession, job_id: int, holder: str, attempt: int, /, *, error: str
) -> bool:
    """Queue a running job of this worker again, unless somebody asked for it to stop."""
    asked = Job.cancel_requested.is_(True)
    return update_owned(
        session,
        job_id,
        holder,
        attempt,
        state=case((asked, "cancelled"), else_="queued"),
        finished_at=case((asked, literal(clock.now(), UtcDateTime)), else_=None),
        error=error,
        worker=None,
    )


def heartbeat(session: WriteSession, job_ids: Sequence[int], worker: str) -> None:
    _execute(
        session,
        update(Job)
        .where(Job.id.in_(job_ids), Job.worker == worker, Job.state == "running")
        .values(heartbeat_at=database_now(session)),
    )


def heard_now(session: WriteSession, *, later_than: datetime) -> None:
    """Let open jobs that were heard of later than this moment have been heard of now."""
    _execute(
        session,
        update(Job)
        .where(Job.state.in_(("queued", "running")), Job.heartbeat_at > later_than)
        .values(heartbeat_at=database_now(session)),
    )


def list_open(session: ReadSession, *, limit: int = 1000) -> list[Job]:
    return list(
        session.scalars(
            select(Job).where(Job.state.in_(("queued", "running"))).order_by(Job.id).limit(limit)
        )
    )


def list_stuck(
    session: ReadSession, *, silent_since: datetime, waiting_since: datetime, limit: int
) -> tuple[list[JobView], int]:
    """Running without a heartbeat since then, or queued since then: the oldest, and how many there
    are in all."""
    silent = and_(Job.state == "running", Job.heartbeat_at < silent_since)
    waiting = and_(Job.state == "queued", Job.created_at < waiting_since)
    stuck = or_(silent, waiting)
    rows = session.scalars(select(Job).where(stuck).order_by(Job.id).limit(limit))
    views = [view(row) for row in rows]
    if len(views) < limit:
        return views, len(views)
    return views, session.scalar(select(func.count()).select_from(Job).where(stuck)) or 0


def list_last_ended(
    session: ReadSession, *, states: Sequence[str], since: datetime, most: int
) -> list[JobView]:
    """The newest jobs that ended like this since then and that no later job of their kind and
    subject has followed to its end, newest first; one that was cancelled answers nothing."""
    later = aliased(Job)
    # Not EXISTS: PostgreSQL makes a join of it that reads every job there ever was.
    answer = (
        select(later.id)
        .where(
            later.subject == Job.subject,
            later.id > Job.id,
            later.kind == Job.kind,
            later.state.notin_(("queued", "running", "cancelled")),
        )
        .order_by(later.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(Job)
        .where(Job.state.in_(states), Job.finished_at >= since, answer.is_(None))
        .order_by(Job.finished_at.desc(), Job.id.desc())
        .limit(most)
    )
    return [view(row) for row in session.scalars(query)]


def take_back(
    session: WriteSession, row: Job, *, state: str, error: str | None, finished_at: datetime | None
) -> bool:
    """Move a dead worker's job on; False when it moved meanwhile, or was heard of after all."""
    return bool(
        _execute(
            session,
            update(Job)
            .where(
                and_(
                    Job.id == row.id,
                    Job.state == "running",
                    Job.worker == row.worker,
                    Job.attempt == row.attempt,
                    Job.heartbeat_at == row.heartbeat_at,
                    Job.cancel_requested.is_(row.cancel_requested),
                )
            )
            .values(state=state, error=error, finished_at=finished_at, worker=None),
        )
    )


def interrupt_open(session: WriteSession, error: str) -> int:
    """End every queued and running job; how many."""
    return _execute(
        session,
        update(Job)
        .where(Job.state.in_(("queued", "running")))
        .values(state="interrupted", error=error, finished_at=clock.now(), worker=None),
    )


def mark_sent(session: WriteSession, job_ids: Sequence[int]) -> None:
    _execute(
        session,
        update(Job)
        .where(Job.id.in_(job_ids), Job.state == "queued")
        .values(heartbeat_at=database_now(session)),
    )


def add_line(session: WriteSession, job_id: int, line: str) -> None:
    session.add(JobLine(job_id=job_id, at=clock.now(), line=line))


def list_lines(session: ReadSession, job_id: int, *, after: int, limit: int) -> list[LogLine]:
    """The newest `limit` lines with an id above `after`, oldest first."""
    query = (
        select(JobLine)
        .where(JobLine.job_id == job_id, JobLine.id > after)
        .order_by(JobLine.id.desc())
        .limit(limit)
    )
    return [LogLine(row.id, row.at, row.line) for row in reversed(list(session.scalars(query)))]


def delete_lines_before(session: WriteSession, instant: datetime) -> int:
    return _execute(session, delete(JobLine).where(JobLine.at < instant))


def _execute(session: WriteSession, statement: Any) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return result.rowcount if isinstance(result, CursorResult) else 0
