"""One call to AWS for a recorded run, and what it answered written down: never sent twice."""

from datetime import timedelta
from typing import Literal

from backend.core import audit, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, StateDatabaseDown, StateWriteUnknown, WriteSession
from backend.core.errors import OutcomeUnknown, PortalError, UpstreamTimeout
from backend.ingestion import aws, held, repository, views
from backend.ingestion.errors import RunNotFound, StartFailed
from backend.ingestion.run_context import RunContext
from backend.ingestion.schemas import RunView
from backend.ingestion.targets import Target
from backend.integrations.aws.gateway import Accepted, Gateway, TargetFacts, execution_arn
from backend.models.ingestion import IngestionRun

ACTION = Permission.INGESTION_RUN.value
FIRST_LOOK_SECONDS = 2
#: A row that nobody answered for this long belongs to a process that died while sending.
SENDING_SECONDS = 60


def send(database: Database, actor: Actor, context: RunContext, row: IngestionRun) -> RunView:
    """Start what the committed row asks for. Raises StartFailed with the run as recorded."""
    # mypy: written from a Literal, read back as str
    target = Target(row.target_kind, row.target)  # type: ignore[arg-type]
    facts: TargetFacts | None = None
    try:
        facts = aws.facts(context.aws, target)
        _claim(database, row, facts)
        if row.invocation == "sync":
            return _hand_over(database, actor, row, facts)
        accepted = _call(context, row, facts)
    except OutcomeUnknown as exc:
        view = _write_unknown(database, actor, row, facts, exc)
        raise StartFailed(view, exc.status, exc.message) from exc
    except PortalError as exc:
        aws.doubt(context.aws, target)
        known = _nothing_sent() if isinstance(exc, StateWriteUnknown) else exc
        view = _write_failure(database, actor, row, facts, known)
        raise StartFailed(view, known.status, known.message) from exc
    try:
        return _write_accepted(database, actor, row, facts, accepted)
    except StateDatabaseDown as exc:
        # The row says "being sent" and keeps the dataset; the follow-up finds what became of it.
        raise StateDatabaseDown(
            f"AWS accepted run {row.run_id}, but the portal's own database is not available to "
            "record it. Do not start it again: its outcome is looked for."
        ) from exc


def _nothing_sent() -> StateDatabaseDown:
    """Whether the row was stored is unknown; of the run itself more is known."""
    return StateDatabaseDown(
        "The connection to the portal's own database broke before AWS was asked. Nothing was "
        "started; try again."
    )


def _claim(database: Database, row: IngestionRun, facts: TargetFacts) -> None:
    """Begin the time in which AWS's answer is awaited; raises UpstreamTimeout when it is too late.

    Asking for the target may take longer than SENDING_SECONDS. By then the follow-up may have found
    that the start never arrived and let the dataset go: a start sent after that would be nobody's.
    """
    with database.write() as session:
        stored = repository.lock_run(session, row.run_id)
        if stored is None or stored.settled or stored.looks:
            raise UpstreamTimeout(
                "AWS",
                f"asking for the target took longer than {SENDING_SECONDS} seconds",
                "Nothing was started. Try again.",
            )
        _note(stored, facts)
        stored.sent_at = clock.now()
        stored.next_look_at = stored.sent_at + timedelta(seconds=SENDING_SECONDS)


def _hand_over(database: Database, actor: Actor, row: IngestionRun, facts: TargetFacts) -> RunView:
    try:
        with database.write() as session:
            stored = _stored(session, row, facts)
            held.hand_over(session, actor, stored)
            record(session, actor, stored, "outcome", "accepted")
            return views.run_view(stored, actor)
    except StateWriteUnknown:
        with database.read() as session:
            found = repository.find_run(session, row.run_id)
            if found is not None and found.answered:  # the call is queued: a worker holds it
                return views.run_view(found, actor)
        raise


def _call(context: RunContext, row: IngestionRun, facts: TargetFacts) -> Accepted:
    gateway = Gateway(context.aws)
    if facts.kind == "stepfunctions":
        return gateway.start_execution(row.target, row.run_id, row.payload)
    return gateway.start_lambda(row.target, row.payload.encode())


def _write_accepted(
    database: Database, actor: Actor, row: IngestionRun, facts: TargetFacts, accepted: Accepted
) -> RunView:
    with database.write() as session:
        stored = _stored(session, row, facts)
        stored.status = "accepted"
        stored.public_detail = "AWS accepted the start; its outcome is not known yet."
        stored.detail = _accepted_sentence(facts, accepted)
        stored.request_id = accepted.request_id
        if facts.machine_type != "EXPRESS":
            stored.execution_arn = accepted.execution_arn
        stored.next_look_at = clock.now() + timedelta(seconds=FIRST_LOOK_SECONDS)
        record(session, actor, stored, "outcome", "accepted")
        return views.run_view(stored, actor)


def _write_failure(
    database: Database,
    actor: Actor,
    row: IngestionRun,
    facts: TargetFacts | None,
    exc: PortalError,
) -> RunView:
    with database.write() as session:
        stored = _stored(session, row, facts)
        stored.status, stored.settled, stored.active_key = "failed", True, None
        stored.detail, stored.public_detail = exc.message, aws.public_sentence(exc)
        stored.error_status, stored.next_look_at = exc.status, None
        stored.finished_at = clock.now()
        record(session, actor, stored, "outcome", "failed")
        return views.run_view(stored, actor)


def _write_unknown(
    database: Database,
    actor: Actor,
    row: IngestionRun,
    facts: TargetFacts | None,
    exc: OutcomeUnknown,
) -> RunView:
    with database.write() as session:
        stored = _stored(session, row, facts)
        stored.status = "unknown"
        stored.detail, stored.public_detail = exc.message, aws.public_sentence(exc)
        stored.error_status = exc.status
        if row.target_kind == "stepfunctions" and stored.machine_type != "EXPRESS":
            stored.execution_arn = execution_arn(row.target, row.run_id)
        stored.next_look_at = clock.now() + timedelta(seconds=FIRST_LOOK_SECONDS)
        record(session, actor, stored, "outcome", "unknown")
        return views.run_view(stored, actor)


def _stored(session: WriteSession, row: IngestionRun, facts: TargetFacts | None) -> IngestionRun:
    stored = repository.lock_run(session, row.run_id)
    if stored is None:
        raise RunNotFound(row.run_id)
    stored.answered, stored.sent_at = True, clock.now()
    # What AWS says counts more than what a follow-up made of its silence.
    stored.settled, stored.finished_at, stored.error_status = False, None, 0
    if facts is not None:
        _note(stored, facts)
    return stored


def _note(stored: IngestionRun, facts: TargetFacts) -> None:
    stored.region, stored.machine_type = facts.region, facts.machine_type
    stored.log_group, stored.max_attempts = facts.log_group, facts.max_attempts
    stored.timeout_seconds = facts.timeout_seconds


def _accepted_sentence(facts: TargetFacts, accepted: Accepted) -> str:
    if facts.kind == "lambda":
        return f"Lambda accepted the call (202, request {accepted.request_id})."
    if facts.machine_type == "EXPRESS":
        return (
            "Step Functions accepted the start. EXPRESS executions cannot be described or "
            "stopped; look for the outcome in the state machine's own log."
        )
    if accepted.existed:
        return "Step Functions had an execution of this name already; it is the one followed."
    return "Step Functions accepted the start."


def record(
    session: WriteSession,
    actor: Actor,
    row: IngestionRun,
    phase: Literal["intent", "outcome"],
    outcome: str,
) -> None:
    audit.record(
        session,
        actor,
        ACTION,
        subject=row.dataset_urn or row.job_urn or "",
        phase=phase,
        outcome=outcome,
        details={
            "run_id": row.run_id,
            "environment": row.environment_name,
            "target": row.target,
            "rule": row.rule,
            "payload_sha256": row.payload_hash,
        },
    )
