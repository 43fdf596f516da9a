"""What became of a run: looked up with growing pauses until it is known or cannot be known.

A status check is claimed in the database, made without a session, and what it observed written; two
processes never check at the same time. A person who watches a run makes it be checked sooner.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession, storable
from backend.core.errors import NotFound, OutcomeUnknown, PortalError
from backend.core.log import get_logger, log_unexpected
from backend.ingestion import repository, run_context, status_check, views
from backend.ingestion.errors import RunNotFound
from backend.ingestion.observations import Observation
from backend.ingestion.schemas import RunView
from backend.ingestion.views import redrivable
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
#: How soon it is asked whether somebody redrove a failed execution in AWS; later less often.
REDRIVE_PAUSE = timedelta(minutes=10)
NOTE = " At the last status check: "


def watch(database: Database, actor: Actor, *, run_id: str) -> RunView:
    """The run, looked at now when the last look is old enough. Raises RunNotFound.

    When AWS does not answer the run is shown as it was, with that in its detail.
    """
    access.require(actor, Permission.INGESTION_READ)
    with database.read() as session:
        row = _row(session, run_id)
        since = row.looked_at or row.sent_at or row.created_at
        recent = clock.now() - since < timedelta(seconds=WATCH_SECONDS)
        over = row.settled and not redrivable(row)
        if over or not row.answered or recent:
            return views.run_view(row, actor)
    check(database, run_id)
    with database.read() as session:
        return views.run_view(_row(session, run_id), actor)


def sweep(database: Database, *, limit: int = BATCH) -> int:
    """Look at every run whose time has come; returns how many were looked at."""
    due = database.ask(repository.due_runs, clock.now(), limit)
    if not due:
        return 0
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="ingestion-look") as pool:
        return sum(pool.map(lambda run_id: _quietly(database, run_id), due))


def check(database: Database, run_id: str) -> bool:
    """Check one run and write what was observed; False when somebody else is at it."""
    with database.write() as session:
        # Locked, so that a sender that is about to send and a look never miss each other.
        row = repository.lock_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        now = clock.now()
        until = now + timedelta(seconds=CLAIM_SECONDS)
        over = row.settled and not redrivable(row)
        if over or _claimed(row, now):
            return False
        if not repository.claim_check(session, run_id, row.looks, until):
            return False
        config = _config(session, row)
    try:
        observation = status_check.check(config, row)
    except PortalError as exc:
        observation = Observation(note=exc.message, settled=row.settled)
    database.change(_write, run_id, observation)
    return True


def _quietly(database: Database, run_id: str) -> bool:
    try:
        return check(database, run_id)
    except PortalError as exc:
        log.warning("A run could not be looked at.", run_id=run_id, error=exc.message)
    except Exception as exc:
        # One run with a surprise must not stop the sweep over all others.
        log_unexpected(log, "Looking at a run failed unexpectedly.", exc, run_id=run_id)
    return False


def _config(session: Any, row: IngestionRun) -> AwsConfig:
    try:
        return run_context.of_run(session, row).aws
    except NotFound:
        # The environment was removed; AWS is asked as the machine itself.
        return AwsConfig(region=row.region)


def _row(session: Any, run_id: str) -> IngestionRun:
    row = repository.find_run(session, run_id)
    if row is None:
        raise RunNotFound(run_id)
    return row


def _write(session: WriteSession, run_id: str, observation: Observation) -> None:
    row = repository.lock_run(session, run_id)
    if row is None or (row.settled and not redrivable(row)):
        return
    now = clock.now()
    if row.settled and not observation.settled and not take_again(session, row):
        observation = Observation(
            settled=True, note="It was redriven in AWS while another run goes on."
        )
    if observation.started_at is not None or observation.status in ("running", "succeeded"):
        row.error_status = 0  # the start whose answer was lost did arrive
    elif not row.answered:
        row.error_status = OutcomeUnknown.status  # the sender died: nobody was told it started
    row.looked_at, row.answered = now, True
    row.status = observation.status or row.status
    _say(row, observation)
    for name in ("request_id", "execution_arn", "attempts", "started_at", "finished_at"):
        value = getattr(observation, name)
        if value is not None:
            setattr(row, name, value)
    if observation.status == "running":
        row.finished_at = None
    if observation.log_tail is not None:
        row.log_tail = storable("\n".join(observation.log_tail))[-30_000:]
    if observation.settled:
        row.active_key = None
    row.settled = observation.settled
    row.next_look_at = None if observation.settled else now + _pause(row.looks)
    if observation.settled and redrivable(row):
        # Ever more rarely: of a year's failures there are thousands, and AWS counts the questions.
        ended = row.finished_at or row.created_at
        row.next_look_at = now + max(REDRIVE_PAUSE, (now - ended) / 20)


def subject_key(row: IngestionRun) -> str:
    """The key by which a run holds its dataset."""
    return repository.active_key(row.environment_id, row.dataset_urn or row.job_urn or "")


def take_again(session: WriteSession, row: IngestionRun) -> bool:
    """Give the dataset back to a run that goes on after a redrive; False when another has it."""
    key = subject_key(row)
    holder = repository.find_active(session, key)
    if holder is not None and holder.id != row.id:
        return False
    row.active_key, row.stop_outcome, row.stop_requested_by = key, "", None
    return True


def _say(row: IngestionRun, observation: Observation) -> None:
    """What was observed, in words; a note stands behind what is known, replacing an earlier one."""
    row.detail = storable(observation.detail) or row.detail.partition(NOTE)[0]
    row.public_detail = (observation.public_detail or row.public_detail.partition(NOTE)[0])[:400]
    if observation.note:
        row.detail += f"{NOTE}{observation.note}"
        row.public_detail += f"{NOTE}AWS could not be asked."


def _claimed(row: IngestionRun, now: datetime) -> bool:
    until = row.next_look_at
    if until is None or until <= now:
        return False
    if row.settled and row.looked_at is not None:
        return until < row.looked_at + REDRIVE_PAUSE
    return until > now + timedelta(seconds=PAUSES[-1] + 1)


def _pause(looks: int) -> timedelta:
    return timedelta(seconds=PAUSES[min(looks, len(PAUSES) - 1)])
