"""What became of a run: looked up with growing pauses until it is known or cannot be known.

A look is claimed in the database, made without a session, and its finding written; two processes
never look at the same time. A person who watches a run makes it be looked at sooner.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.errors import NotFound, OutcomeUnknown, PortalError
from backend.core.log import get_logger, log_unexpected
from backend.ingestion import looking, repository, views
from backend.ingestion import scene as scenes
from backend.ingestion.errors import RunNotFound
from backend.ingestion.finding import Finding
from backend.ingestion.schemas import RunView
from backend.integrations.aws.config import AwsConfig
from backend.models.ingestion import IngestionRun

log = get_logger(__name__)

#: Pauses between looks, in seconds; the last one repeats.
PAUSES = (2, 2, 3, 5, 8, 13, 20, 30, 45, 60)
#: While somebody looks, the next look lies further ahead than any pause: that marks the claim. A
#: process that dies while looking holds it for the difference.
CLAIM_SECONDS = 120
#: Somebody who watches a run gets a look this often.
WATCH_SECONDS = 2.0
BATCH = 50


def watch(database: Database, actor: Actor, *, run_id: str) -> RunView:
    """The run, looked at now when the last look is old enough. Raises RunNotFound.

    When AWS does not answer the run is shown as it was, with that in its detail.
    """
    access.require(actor, Permission.INGESTION_READ)
    with database.read() as session:
        row = _row(session, run_id)
        since = row.looked_at or row.sent_at or row.created_at
        recent = clock.now() - since < timedelta(seconds=WATCH_SECONDS)
        if row.settled or not row.answered or recent:
            return views.run_view(row, actor)
    look(database, run_id)
    with database.read() as session:
        return views.run_view(_row(session, run_id), actor)


def sweep(database: Database, *, limit: int = BATCH) -> int:
    """Look at every run whose time has come; returns how many were looked at."""
    with database.read() as session:
        due = repository.due_runs(session, clock.now(), limit)
    if not due:
        return 0
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="ingestion-look") as pool:
        return sum(pool.map(lambda run_id: _quietly(database, run_id), due))


def look(database: Database, run_id: str) -> bool:
    """Look at one run and write what was found; False when somebody else is looking."""
    with database.write() as session:
        # Locked, so that a sender that is about to send and a look never miss each other.
        row = repository.lock_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        now = clock.now()
        until = now + timedelta(seconds=CLAIM_SECONDS)
        if row.settled or _claimed(row.next_look_at, now):
            return False
        if not repository.claim_look(session, run_id, row.looks, until):
            return False
        config = _config(session, row)
    try:
        finding = looking.look(config, row)
    except PortalError as exc:
        finding = Finding(detail=exc.message, public_detail="AWS could not be asked just now.")
    with database.write() as session:
        _write(session, run_id, finding)
    return True


def _quietly(database: Database, run_id: str) -> bool:
    try:
        return look(database, run_id)
    except PortalError as exc:
        log.warning("A run could not be looked at.", run_id=run_id, error=exc.message)
    except Exception as exc:
        # One run with a surprise must not stop the sweep over all others.
        log_unexpected(log, "Looking at a run failed unexpectedly.", exc, run_id=run_id)
    return False


def _config(session: Any, row: IngestionRun) -> AwsConfig:
    try:
        return scenes.load(session, row.environment_name or None).aws
    except NotFound:
        # The environment was removed; AWS is asked as the machine itself.
        return AwsConfig(region=row.region)


def _row(session: Any, run_id: str) -> IngestionRun:
    row = repository.find_run(session, run_id)
    if row is None:
        raise RunNotFound(run_id)
    return row


def _write(session: WriteSession, run_id: str, finding: Finding) -> None:
    row = repository.lock_run(session, run_id)
    if row is None or row.settled:
        return
    now = clock.now()
    if finding.started_at is not None or finding.status in ("running", "succeeded"):
        row.error_status = 0  # the start whose answer was lost did arrive
    elif not row.answered:
        row.error_status = OutcomeUnknown.status  # the sender died: nobody was told it started
    row.looked_at, row.answered = now, True
    row.status = finding.status or row.status
    row.detail = finding.detail or row.detail
    row.public_detail = (finding.public_detail or row.public_detail)[:500]
    for name in ("request_id", "execution_arn", "attempts", "started_at", "finished_at"):
        value = getattr(finding, name)
        if value is not None:
            setattr(row, name, value)
    if finding.log_tail is not None:
        row.log_tail = "\n".join(finding.log_tail)[-30_000:]
    if finding.settled:
        row.active_key = None
    row.settled = finding.settled
    row.next_look_at = None if finding.settled else now + _pause(row.looks)


def _claimed(next_look_at: datetime | None, now: datetime) -> bool:
    return next_look_at is not None and next_look_at > now + timedelta(seconds=PAUSES[-1] + 1)


def _pause(looks: int) -> timedelta:
    return timedelta(seconds=PAUSES[min(looks, len(PAUSES) - 1)])
