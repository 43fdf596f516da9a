"""Find jobs whose process died and messages that were lost."""

from datetime import datetime, timedelta

from backend.core import clock
from backend.core.database import Database, database_now
from backend.core.log import get_logger
from backend.jobs import broker, repository, told
from backend.models.jobs import Job

log = get_logger(__name__)

#: A running job whose heartbeat is older than this, nine beats, belongs to a dead process.
STALE = timedelta(seconds=45)
#: A queued job not claimed for this long is sent again.
RESEND = timedelta(seconds=20)
_AHEAD = timedelta(seconds=1)


def recover(database: Database, *, at_start: bool = False) -> list[int]:
    """Queue or mark every abandoned job and send lost messages again; returns the ids sent.

    at_start: this process has just started, so every queued job of an in-process broker is sent.
    """
    with database.read() as session:
        rows, now = repository.list_open(session), database_now(session)
    if any(row.heartbeat_at is not None and row.heartbeat_at > now + _AHEAD for row in rows):
        # The clock was set back. From now on: a living process is heard of again, a dead one not.
        database.change(repository.heard_now, later_than=now + _AHEAD)
    to_send = []
    for row in rows:
        if row.state == "running":
            if _silent(row, now, STALE) and _take_back(database, row):
                to_send.append((row.id, row.queue))
        elif (at_start and not broker.is_remote()) or _silent(row, now, RESEND):
            to_send.append((row.id, row.queue))
    sent = [job_id for job_id, queue in to_send if broker.send(job_id, queue)]
    if sent:
        database.change(repository.mark_sent, sent)
    return sent


def _silent(row: Job, now: datetime, limit: timedelta) -> bool:
    """Whether nothing was heard of the job for that long, by the database's clock alone: names
    of machines and numbers of processes are the same in two containers."""
    return row.heartbeat_at is None or now - row.heartbeat_at > limit


def _take_back(database: Database, row: Job) -> bool:
    """True when the job is queued again."""
    reason = "The process that ran this job died before it ended."
    again = row.resumable and not row.cancel_requested
    state = "queued" if again else "cancelled" if row.cancel_requested else "interrupted"
    with database.write() as session:
        moved = repository.take_back(
            session,
            row,
            state=state,
            error=reason,
            finished_at=None if again else clock.now(),
        )
        if moved:
            told.ended(session, row, state, None)
    if moved:
        log.warning("Took back a job of a dead process.", job_id=row.id, kind=row.kind, state=state)
    return moved and again
