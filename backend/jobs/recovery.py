"""Find jobs whose process died and messages that were lost."""

import os
import socket
from datetime import timedelta

from backend.core import clock
from backend.core.database import Database
from backend.core.log import get_logger
from backend.jobs import broker, repository, runner
from backend.models.jobs import Job

log = get_logger(__name__)

#: A running job whose heartbeat is older than this belongs to a dead process.
STALE = timedelta(seconds=60)
#: A queued job not claimed for this long is sent again.
RESEND = timedelta(seconds=20)


def recover(database: Database, *, at_start: bool = False) -> list[int]:
    """Queue or mark every abandoned job and send lost messages again; returns the ids sent.

    at_start: this process has just started, so every queued job of an in-process broker is sent.
    """
    with database.read() as session:
        rows = repository.list_open(session)
    to_send = []
    for row in rows:
        if row.state == "running":
            if is_abandoned(row) and _take_back(database, row):
                to_send.append(row.id)
        elif (at_start and not broker.is_remote()) or _unclaimed(row):
            to_send.append(row.id)
    sent = [job_id for job_id in to_send if broker.send(job_id)]
    if sent:
        with database.write() as session:
            repository.mark_sent(session, sent)
    return sent


def is_abandoned(row: Job) -> bool:
    """Whether the process that ran the job is gone."""
    host, pid, token = (row.worker or "::").rsplit(":", 2)
    if host == socket.gethostname() and pid.isdigit():
        if int(pid) == os.getpid():
            return f"{host}:{pid}:{token}" != runner.worker_name()
        if not _alive(int(pid)):
            return True
    return row.heartbeat_at is None or clock.now() - row.heartbeat_at > STALE


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
        log.warning("Took back a job of a dead process.", job_id=row.id, kind=row.kind, state=state)
    return moved and again


def _unclaimed(row: Job) -> bool:
    return row.heartbeat_at is None or clock.now() - row.heartbeat_at > RESEND


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
