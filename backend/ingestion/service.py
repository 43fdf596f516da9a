"""Reading runs, stopping one, letting one go; starting is `runs`, following is `follow`."""

from dataclasses import replace
from datetime import timedelta

from backend.connections import resolve
from backend.core import access, audit, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import OutcomeUnknown, PortalError
from backend.ingestion import repository, run_context, views
from backend.ingestion.errors import CannotStop, RunNotFound
from backend.ingestion.schemas import STATUSES, Recent, RunFilter, RunPage, RunView
from backend.integrations.aws.gateway import Gateway

MAX_PAGE = 200
MAX_MOMENTS = 10_000
_STOPPED = {
    "accepted": "{} asked for a stop, and Step Functions took it. Its last status is on its way.",
    "unknown": "{} asked for a stop; whether Step Functions took it is not known. Its status is "
    "looked at; stop it again when it goes on.",
}


def list_runs(
    session: ReadSession,
    actor: Actor,
    *,
    wanted: RunFilter | None = None,
    limit: int = 50,
    cursor: int | None = None,
) -> RunPage:
    """Runs, newest first, at most 200 a page.

    Raises UnknownChoice for an unknown status, and EnvironmentNotFound where neither an environment
    nor a run has that name.
    """
    access.require(actor, Permission.INGESTION_READ)
    choices.check_limit(limit, MAX_PAGE)
    wanted = _checked(session, wanted)
    found = repository.list_runs(session, wanted, limit=limit, before=cursor)
    if wanted.environment and not found.rows:
        resolve.environment(session, wanted.environment)
    return RunPage(tuple(views.run_view(row, actor) for row in found.rows), found.next_cursor)


def recent(
    session: ReadSession, actor: Actor, *, wanted: RunFilter | None = None, days: int = 30
) -> Recent:
    """When runs were asked for in the last days and how they stand, for charts; the newest 10,000.

    Raises UnknownChoice for an unknown status.
    """
    access.require(actor, Permission.INGESTION_READ)
    since = clock.now() - timedelta(days=max(1, min(days, 366)))
    found = repository.list_moments(
        session, _checked(session, wanted), since=since, limit=MAX_MOMENTS + 1
    )
    return Recent(tuple(found[:MAX_MOMENTS]), len(found) <= MAX_MOMENTS)


def _checked(session: ReadSession, wanted: RunFilter | None) -> RunFilter:
    wanted = wanted or RunFilter()
    for status in wanted.statuses:
        choices.check("status", status, STATUSES)
    if not wanted.environment:
        return wanted
    return replace(wanted, environment=resolve.spelling(session, wanted.environment))


def get_run(session: ReadSession, actor: Actor, *, run_id: str) -> RunView:
    """One run as it was last seen. Raises RunNotFound."""
    access.require(actor, Permission.INGESTION_READ)
    row = repository.find_run(session, run_id)
    if row is None:
        raise RunNotFound(run_id)
    return views.run_view(row, actor)


def stop(database: Database, actor: Actor, *, run_id: str) -> RunView:
    """Ask a STANDARD execution to stop; its status follows. A stop that AWS took is sent once.

    Raises CannotStop, RunNotFound, and AWS's errors: OutcomeUnknown when it may stop all the same.
    """
    access.require(actor, Permission.INGESTION_RUN)
    with database.write() as session:
        row = repository.lock_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        if row.stop_outcome == "accepted":
            return views.run_view(row, actor)
        if not views.can_stop(row):
            raise CannotStop(
                f"Run {run_id} cannot be stopped: only STANDARD Step Functions executions that "
                "are still going can."
            )
        arn, config = row.execution_arn, run_context.of_run(session, row).aws
        earlier, row.stop_requested_by = row.stop_requested_by, actor.name[:255]
        _record(session, actor, run_id, row.dataset_urn or row.job_urn or "", "stop", "intent")
    try:
        Gateway(config).stop_execution(arn, cause=f"stopped by {actor.name} in the portal")
    except OutcomeUnknown:
        _asked_to_stop(database, actor, run_id, "unknown", by=actor.name[:255])
        raise
    except PortalError:
        # Nobody was asked: when somebody else ends the execution, it must not bear this name.
        _asked_to_stop(database, actor, run_id, "failed", by=earlier)
        raise
    return _asked_to_stop(database, actor, run_id, "accepted", by=actor.name[:255])


def _asked_to_stop(
    database: Database, actor: Actor, run_id: str, outcome: str, *, by: str | None
) -> RunView:
    with database.write() as session:
        row = repository.lock_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        row.stop_requested_by = by
        if outcome != "failed":
            row.stop_outcome = outcome
            row.detail = row.public_detail = _STOPPED[outcome].format(by)
        if not row.settled:
            row.next_look_at = clock.now() + timedelta(seconds=1)
        _record(
            session, actor, run_id, row.dataset_urn or row.job_urn or "", "stop", "outcome", outcome
        )
        return views.run_view(row, actor)


def release(session: WriteSession, actor: Actor, *, run_id: str) -> RunView:
    """Let the dataset be run again although this run may not be over.

    The run itself is still followed. Raises RunNotFound.
    """
    access.require(actor, Permission.INGESTION_RUN)
    row = repository.lock_run(session, run_id)
    if row is None:
        raise RunNotFound(run_id)
    if row.active_key is not None:
        row.active_key = None
        _record(
            session,
            actor,
            run_id,
            row.dataset_urn or row.job_urn or "",
            "release",
            "event",
            "released",
        )
    return views.run_view(row, actor)


def _record(
    session: WriteSession,
    actor: Actor,
    run_id: str,
    subject: str,
    verb: str,
    phase: audit.Phase,
    outcome: str = "",
) -> None:
    audit.record(
        session,
        actor,
        f"ingestion:run:{verb}",
        subject=subject,
        phase=phase,
        outcome=outcome,
        details={"run_id": run_id},
    )
