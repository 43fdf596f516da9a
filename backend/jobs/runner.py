"""Run one job: claim its row, call its function, record how it ended."""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import structlog

from backend.core import clock, metrics, tracing
from backend.core.access import Actor, Role
from backend.core.database import (
    Database,
    StateDatabaseDown,
    StateWriteUnknown,
    get_database,
    storable,
)
from backend.core.errors import PortalError, Waiting
from backend.core.log import get_logger, log_unexpected, mask_text
from backend.jobs import registry, repository, told
from backend.jobs.errors import JobCancelled, JobInterrupted, JobLost
from backend.models.jobs import Job

log = get_logger(__name__)

HEARTBEAT_SECONDS = 5.0
PROGRESS_SECONDS = 0.5
MAX_LINE = 2_000
DATABASE_AWAY = (
    "The portal's own database was not available while this ran, so its end is not recorded. "
    "Look at what it concerns before you start it again: a part may have been done."
)

_started = secrets.token_hex(8)
stopping = threading.Event()


def worker_name() -> str:
    """host:pid:token of this process; only the token tells it from every other."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started}"


def _said(text: str) -> str:
    """What a job says, as it may be kept."""
    return storable(mask_text(text))


class Context:
    """The JobContext of one attempt."""

    def __init__(self, database: Database, row: Job, worker: str) -> None:
        self.job_id = row.id
        self.kind = row.kind
        # mypy: written from a Literal, read back as str
        self.actor = Actor(row.actor_id, row.actor_name, Role(row.actor_role), row.actor_kind)  # type: ignore[arg-type]
        self.attempt = row.attempt
        self.database = database
        self._worker = worker
        self._written = 0.0
        self._checked = 0.0
        self._pending: dict[str, Any] = {}

    def progress(self, done: int, total: int | None = None, *, note: str = "") -> None:
        self._pending = {"progress_done": done, "note": _said(note)[:500]}
        if total is not None:
            self._pending["progress_total"] = total
        if time.monotonic() - self._written >= PROGRESS_SECONDS:
            self.flush()
        self.check_cancelled()

    def flush(self) -> None:
        """Write the newest progress; raises JobLost when another worker has the job."""
        if not self._pending:
            return
        values, self._pending = self._pending, {}
        owned = self.database.change(
            repository.update_owned, self.job_id, self._worker, self.attempt, **values
        )
        self._written = time.monotonic()
        if not owned:
            raise JobLost

    def check_cancelled(self) -> None:
        if stopping.is_set():
            raise JobInterrupted
        if time.monotonic() - self._checked < PROGRESS_SECONDS:
            return
        with self.database.read() as session:
            lost = not repository.is_owned(session, self.job_id, self._worker, self.attempt)
            cancelled = repository.get(session, self.job_id).cancel_requested
        self._checked = time.monotonic()
        if lost:
            raise JobLost
        if cancelled:
            raise JobCancelled

    def log(self, line: str) -> None:
        self.database.change(repository.add_line, self.job_id, _said(line)[:MAX_LINE])


def run(job_id: int, database: Database | None = None) -> bool:
    """Claim and run a job in this thread; False when somebody else has it or it has ended, and in
    a process that stops, where its first safe point would end it."""
    if stopping.is_set():
        return False
    database = database or get_database()
    worker = worker_name()
    row = _claimed(database, job_id, worker)
    if row is None:
        return False
    context = Context(database, row, worker)
    began = time.monotonic()
    with (
        tracing.span(f"job {row.kind}", {"job.kind": row.kind}),
        structlog.contextvars.bound_contextvars(job_id=job_id, job_kind=row.kind),
        _beating(database, job_id, worker),
    ):
        values = _attempt(context, row)
        if values is not None:
            _finish(context, values)
    metrics.JOB_SECONDS.labels(row.kind).observe(time.monotonic() - began)
    return True


def _claimed(database: Database, job_id: int, worker: str) -> Job | None:
    attempt = 0
    try:
        with database.write() as session:
            row = repository.claim(session, job_id, worker)
            attempt = row.attempt if row else 0
        return row
    except StateWriteUnknown:
        # A job that cannot be resumed would end as interrupted, and nobody had begun it.
        with database.read() as session:
            if attempt and repository.is_owned(session, job_id, worker, attempt):
                return repository.get(session, job_id)
        raise


def _attempt(context: Context, row: Job) -> dict[str, Any] | None:
    """Call the job's function; returns what to store, None when the job is not ours any more."""
    log.info("Job started.", attempt=row.attempt, subject=row.subject)
    try:
        result = registry.kind(row.kind).function(context, **row.arguments)
        failure = (result or {}).get(registry.FAILED)
        return {
            "state": "failed" if failure else "succeeded",
            "result": result,
            "error": _said(str(failure)) if failure else None,
        }
    except Waiting as exc:
        log.info("What the job asked for waits for an approval.", change=exc.document["change_id"])
        # Not succeeded: nothing of what the job is called was done.
        return {"state": "failed", "result": exc.document, "error": exc.message}
    except JobLost:
        log.warning("Another worker took this job over; this attempt stops.")
        return None
    except JobCancelled as exc:
        return {"state": "cancelled", "error": exc.message}
    except JobInterrupted as exc:
        if row.resumable:
            return {"state": "queued", "error": exc.message}
        return {"state": "interrupted", "error": exc.message}
    except StateDatabaseDown as exc:
        # What it says holds for a page's one unit of work, not for a job with many behind it.
        log.warning("Job failed.", error=exc.message)
        return {"state": "failed", "error": DATABASE_AWAY}
    except PortalError as exc:
        log.warning("Job failed.", error=exc.message)
        return {"state": "failed", "error": _said(exc.message)}
    except Exception as exc:
        # A bug: the person gets the reference, the log the traceback.
        reference = log_unexpected(log, "A job failed unexpectedly.", exc)
        return {"state": "failed", "error": f"Something went wrong. Reference {reference}."}


def _finish(context: Context, values: dict[str, Any]) -> None:
    # The last progress is worth less than the end: a database that is away must not lose both.
    with contextlib.suppress(JobLost, StateDatabaseDown):
        context.flush()
    for delay in (0.0, 1.0, 3.0, 10.0, 30.0):
        # The end of a job is worth waiting for when the state database is away for a moment.
        time.sleep(delay)
        try:
            _record_end(context, values)
            break
        except PortalError as exc:
            log.warning("A job's end could not be recorded yet.", error=exc.message)
    log.info("Job ended.", state=values["state"])
    metrics.JOBS_ENDED.labels(context.kind, values["state"]).inc()


def _record_end(context: Context, values: dict[str, Any]) -> None:
    mine = (context.job_id, context._worker, context.attempt)
    with context.database.write() as session:
        if values["state"] == "queued":
            repository.hand_back(session, *mine, error=values["error"])
        elif repository.update_owned(session, *mine, finished_at=clock.now(), **values):
            row = repository.get(session, context.job_id)
            told.ended(session, row, values["state"], values.get("result"))


@contextlib.contextmanager
def _beating(database: Database, job_id: int, worker: str) -> Iterator[None]:
    """Keep the row's heartbeat fresh, so that nobody takes a living job over."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                database.change(repository.heartbeat, [job_id], worker)
            except PortalError as exc:
                log.warning("A heartbeat could not be written.", error=exc.message)

    thread = threading.Thread(target=beat, name=f"heartbeat-{job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=20)
