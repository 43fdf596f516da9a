"""DataHub is told of runs, where its connection says so: beside the work, never in its way.

A run that DataHub cannot be told of stays what it is; why is kept beside it. Telling the same twice
changes nothing in DataHub, so an answer that was lost is asked for again. How a run ended is told
only when that is known: a run whose outcome is unknown has a start there and no end.
"""

import json
from datetime import datetime, timedelta

from backend.core import audit, clock
from backend.core.access import SYSTEM
from backend.core.database import Database, WriteSession
from backend.core.errors import NotFound, PortalError
from backend.core.log import get_logger, log_unexpected
from backend.core.settings import get_settings
from backend.ingestion import repository, run_context
from backend.ingestion.catalog import Catalog
from backend.ingestion.run_context import RunContext
from backend.ingestion.views import redrivable
from backend.integrations.datahub.process_runs import ProcessRun, Result
from backend.models.ingestion import IngestionRun

log = get_logger(__name__)

ACTION = "ingestion:run:report"
BATCH = 20
#: Seconds until a run that goes on is seen to again, and after each failed try; then it ends.
GOES_ON = 10
PAUSES = (10, 30, 60, 300, 900, 3600, 6 * 3600)
#: A failed run may yet be redriven; it is seen to this often.
REDRIVE_PAUSE = timedelta(minutes=10)
#: From this many failed tries on people hear of it: an index may take a minute.
ALERT_TRIES = 4
CLAIM = timedelta(minutes=5)
_RESULTS: dict[str, Result] = {"succeeded": "SUCCESS", "failed": "FAILURE"}


def sweep(database: Database, *, limit: int = BATCH) -> int:
    """See to every run whose time has come; how many there were."""
    due = database.ask(repository.due_reports, clock.now(), limit)
    for run_id in due:
        try:
            report(database, run_id)
        except Exception as exc:
            # One run with a surprise must not keep DataHub from hearing of all others.
            log_unexpected(log, "Telling DataHub of a run failed unexpectedly.", exc, run_id=run_id)
    return len(due)


def report(database: Database, run_id: str) -> None:
    """Tell DataHub how the run stands, unless it knows already; what came of it is written."""
    with database.write() as session:
        row = repository.lock_run(session, run_id)
        if row is None or row.report_at is None or row.report_at > clock.now():
            return
        wanted = told(row)
        if wanted is None:
            row.report_at = _next(row)
            return
        context = _context(session, row)
        if context is None:
            row.report_at = None  # nobody wants to hear of it any more
            return
        row.report_at = clock.now() + CLAIM
        _record(session, row, "intent")
        run = process_run(row, wanted)
    problem = ""
    try:
        Catalog(context.datahub).client().report_run(run)
    except PortalError as exc:
        problem = exc.message
    with database.write() as session:
        row = repository.lock_run(session, run_id)
        if row is not None:
            _write(session, row, wanted, problem)


def told(row: IngestionRun) -> str | None:
    """What DataHub is to be told now: started, or the settled run's status; None for nothing.

    A run that is redriven is told of once it has ended: DataHub keeps its first end beside.
    """
    if row.reported is None or not row.answered:
        return None
    if row.settled:
        return row.status if row.status != row.reported else None
    return "started" if row.reported == "" else None


def process_run(row: IngestionRun, wanted: str) -> ProcessRun:
    """The run in DataHub's terms; a start that AWS refused is SKIPPED: nothing ran.

    No AWS name, reason or log line goes with it: DataHub's readers may not be the portal's.
    """
    began = row.started_at or row.sent_at or row.created_at
    refused = wanted == "failed" and row.started_at is None and row.error_status != 0
    return ProcessRun(
        run_id=row.run_id,
        dataset_urn=row.dataset_urn,
        job_urn=row.job_urn or "",
        actor_urn=json.loads(row.payload)["actorUrn"],
        created_at=row.created_at,
        started_at=began,
        finished_at=(row.finished_at or row.looked_at or began) if wanted in _RESULTS else None,
        result="SKIPPED" if refused else _RESULTS.get(wanted),
        attempt=row.attempts or None,
        url=_address(row),
        properties={"environment": row.environment_name, "status": wanted, "runId": row.run_id},
    )


def _address(row: IngestionRun) -> str | None:
    address = f"/ingestion?view=runs&run={row.run_id}&environment={row.environment_name}"
    public = get_settings().public_url
    return f"{public}{address}" if public else None


def _context(session: WriteSession, row: IngestionRun) -> RunContext | None:
    """The environment while it is there and its DataHub still wants to be told."""
    try:
        context = run_context.of_run(session, row)
    except NotFound:
        return None
    return context if context.reports_runs else None


def _write(session: WriteSession, row: IngestionRun, wanted: str, problem: str) -> None:
    row.report_problem = problem[:500]
    if problem:
        pause = PAUSES[row.report_tries] if row.report_tries < len(PAUSES) else None
        row.report_tries += 1
        row.report_at = clock.now() + timedelta(seconds=pause) if pause else None
    else:
        row.reported, row.report_tries = wanted, 0
        row.report_at = _next(row)
    _record(session, row, "outcome", "failed" if problem else "succeeded")


def _next(row: IngestionRun) -> datetime | None:
    """When the run may have something new to tell; None when it never will."""
    if not row.settled or told(row) is not None:
        return clock.now() + timedelta(seconds=GOES_ON)
    return clock.now() + REDRIVE_PAUSE if redrivable(row) else None


def _record(
    session: WriteSession, row: IngestionRun, phase: audit.Phase, outcome: str = ""
) -> None:
    audit.record(
        session,
        SYSTEM,
        ACTION,
        subject=row.dataset_urn or row.job_urn or "",
        phase=phase,
        outcome=outcome,
        details={"run_id": row.run_id, "environment": row.environment_name},
    )
