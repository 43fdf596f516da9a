"""A synchronous call: the worker holds it until the function ends, and its answer is the truth.

Sent once like every start. The job that holds it is never run again; when it dies, or the
connection breaks, the outcome is unknown and is looked for in the function's log like any other.
"""

from datetime import timedelta
from typing import Any

from backend.core import clock
from backend.core.access import Actor
from backend.core.database import Database, WriteSession, storable
from backend.core.errors import OutcomeUnknown, PortalError
from backend.ingestion import aws, repository, run_context
from backend.integrations.aws.called import Called
from backend.integrations.aws.gateway import Gateway
from backend.jobs.enqueue import enqueue
from backend.models.ingestion import IngestionRun

KIND = "ingestion.call"
#: As long as Lambda itself keeps an asynchronous call that it cannot begin.
QUEUED = timedelta(hours=6)
#: Beyond the function's own time-out: its start may take ten seconds, and the way there and back.
SPARE_SECONDS = 60
#: Of a durable function, too, whose execution may take longer when nobody waits for it.
LONGEST_SECONDS = 900
HANDED_OVER = "Handed to the portal's worker, which holds the call until the function has ended."
HOLDING = "The worker holds the call; the function is running."


def hand_over(session: WriteSession, actor: Actor, row: IngestionRun) -> None:
    """Queue the call of a recorded run."""
    row.status, row.detail, row.public_detail = "accepted", HANDED_OVER, HANDED_OVER
    row.max_attempts = 1  # Lambda tries only asynchronous calls again
    row.next_look_at = clock.now() + QUEUED
    enqueue(session, actor, KIND, {"run_id": row.run_id}, subject=row.dataset_urn or row.run_id)


def hold(database: Database, *, run_id: str) -> dict[str, Any]:
    """The job: call the function of a run that waits for it, and write what it answered."""
    with database.write() as session:
        row = repository.lock_run(session, run_id)
        if row is None or row.settled or row.status != "accepted" or row.started_at is not None:
            return {"run_id": run_id, "sent": False}
        seconds = min(row.timeout_seconds or LONGEST_SECONDS, LONGEST_SECONDS) + SPARE_SECONDS
        row.status, row.detail, row.public_detail = "running", HOLDING, HOLDING
        row.sent_at = row.started_at = clock.now()
        row.next_look_at = clock.now() + timedelta(seconds=seconds + SPARE_SECONDS)
        config = run_context.of_run(session, row).aws
        target, payload = row.target, row.payload.encode()
    try:
        called = Gateway(config).call_lambda(target, payload, seconds=seconds)
    except OutcomeUnknown as exc:
        return _lost(database, run_id, exc)
    except PortalError as exc:
        return _failed(database, run_id, exc)
    return _ended(database, run_id, called)


def _ended(database: Database, run_id: str, called: Called) -> dict[str, Any]:
    with database.write() as session:
        row = _row(session, run_id)
        row.status = "failed" if called.failed else "succeeded"
        row.public_detail = (
            "The function ended with an error." if called.failed else "The function succeeded."
        )
        said = called.error or (f"It answered {called.answer}" if called.answer else "")
        row.detail = storable(f"{row.public_detail} {said}".strip())
        row.request_id, row.attempts = called.request_id, 1
        row.log_tail = storable(called.log)
        _settle(row)
        return {"run_id": run_id, "status": row.status}


def _failed(database: Database, run_id: str, exc: PortalError) -> dict[str, Any]:
    """AWS refused the call: the function did not run."""
    with database.write() as session:
        row = _row(session, run_id)
        row.status, row.started_at, row.error_status = "failed", None, exc.status
        row.detail, row.public_detail = exc.message, aws.public_sentence(exc)
        _settle(row)
        return {"run_id": run_id, "status": row.status}


def _lost(database: Database, run_id: str, exc: OutcomeUnknown) -> dict[str, Any]:
    with database.write() as session:
        row = _row(session, run_id)
        row.status, row.started_at = "unknown", None
        row.detail = f"{exc.message} The function may have run to its end."
        row.public_detail = "The connection that held the call broke; its outcome is looked for."
        row.next_look_at = clock.now()
        return {"run_id": run_id, "status": row.status}


def _row(session: WriteSession, run_id: str) -> IngestionRun:
    row = repository.lock_run(session, run_id)
    if row is None:
        raise RuntimeError("a run that is being called is never removed")
    return row


def _settle(row: IngestionRun) -> None:
    row.finished_at = row.looked_at = clock.now()
    row.settled, row.active_key, row.next_look_at = True, None, None
