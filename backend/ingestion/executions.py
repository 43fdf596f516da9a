"""A run's page: the steps of its execution, the log of each Lambda task, and the redrive."""

import hashlib
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from backend.changes import gate
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.errors import Conflict, NotFound, OutcomeUnknown, PortalError
from backend.core.views import document as document_of
from backend.ingestion import repository, run_context, tracker, views
from backend.ingestion.answers import HistoryAnswer, StateAnswer, StepAnswer
from backend.ingestion.errors import AlreadyRunning, CannotRedrive, RunNotFound
from backend.ingestion.schemas import RunView
from backend.integrations.aws import executions, logs
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.executions import History
from backend.integrations.aws.gateway import Gateway, default_log_group
from backend.models.ingestion import IngestionRun

#: What a policy may put under approval; `backend.ingestion.changes` carries it out.
REDRIVE = "ingestion.redrive"
ACTION = "ingestion:run:redrive"
ASKED = "{} asked for a redrive: the execution goes on from the step that failed."
MAX_LINES = 500


def history(database: Database, actor: Actor, *, run_id: str) -> History:
    """The states and steps of a run's STANDARD execution, asked of AWS now.

    Raises NotFound for a run that has none, and AWS's errors.
    """
    access.require(actor, Permission.INGESTION_MAPPING_READ)
    row, config = _load(database, run_id)
    if row.machine_type != "STANDARD" or not row.execution_arn:
        raise NotFound(f"Run {run_id} is no STANDARD execution: it has no steps.")
    return executions.history(config, row.execution_arn)


def document(found: History) -> HistoryAnswer:
    """The history as REST and `--json` print it."""
    return document_of(
        HistoryAnswer,
        found,
        states=[
            document_of(StateAnswer, state, following=list(state.following))
            for state in found.states
        ],
        steps=[document_of(StepAnswer, step) for step in found.steps],
    )


def task_log(database: Database, actor: Actor, *, run_id: str, step: int) -> tuple[str, ...]:
    """What the function of a step (its place in the history, from 0) logged while it ran.

    Other calls of the same function at that time are among the lines. At most MAX_LINES. Raises
    NotFound for a step that called no function, and AWS's errors.
    """
    steps = history(database, actor, run_id=run_id).steps
    if not 0 <= step < len(steps) or not steps[step].function:
        raise NotFound(f"Step {step} of run {run_id} called no Lambda function.")
    row, config = _load(database, run_id)
    return logs.between(
        config,
        log_group=default_log_group(steps[step].function),
        region=row.region or Gateway(config).region(row.target),
        since=steps[step].started_at,
        until=(steps[step].finished_at or clock.now()) + timedelta(seconds=2),
        limit=MAX_LINES,
    )


def redrive(database: Database, actor: Actor, *, run_id: str) -> RunView:
    """Let a failed STANDARD execution go on; its status follows. It holds its dataset again.

    Raises CannotRedrive, AlreadyRunning (another run has the dataset), RunNotFound, and AWS's
    errors: OutcomeUnknown when it may go on all the same.
    """
    access.require_to_ask(actor, Permission.INGESTION_RUN)
    try:
        with database.write() as session:
            row, arn, config = _begin(session, actor, run_id)
            token = hashlib.sha256(f"{run_id} {row.looks} {row.attempts}".encode()).hexdigest()
    except IntegrityError as exc:
        raise Conflict("Another run of this dataset has just begun. Nothing was redriven.") from exc
    try:
        executions.redrive(config, arn, token=token)
    except OutcomeUnknown as exc:
        _write(database, actor, run_id, "unknown", exc.message)
        raise
    except PortalError as exc:
        _write(database, actor, run_id, "failed", exc.message)
        raise
    return _write(database, actor, run_id, "running", ASKED.format(actor.name[:255]))


def _begin(session: WriteSession, actor: Actor, run_id: str) -> tuple[IngestionRun, str, AwsConfig]:
    """The run takes its dataset back before AWS is asked: nothing else can begin meanwhile."""
    row = repository.lock_run(session, run_id)
    if row is None:
        raise RunNotFound(run_id)
    if not (row.settled and views.redrivable(row)):
        raise CannotRedrive(run_id)
    subject = row.dataset_urn or row.job_urn or ""
    gate.check(
        session,
        actor,
        gate.Intent(
            REDRIVE,
            run_context.name_of(session, row),
            subject,
            parameters={"redriven": run_id},
            shown={"run": run_id, "dataset": subject},
            rests={"execution": row.execution_arn},
            environment_id=row.environment_id,
        ),
    )
    if not tracker.take_again(session, row):
        holder = repository.find_active(session, tracker.subject_key(row))
        raise AlreadyRunning(views.run_view(holder or row, actor))
    # Not failed: a status check that is made before AWS has gone on changes nothing then.
    row.status, row.settled, row.sent_at = "unknown", False, clock.now()
    row.next_look_at = row.sent_at + timedelta(seconds=tracker.PAUSES[-1])
    session.flush()
    _record(session, actor, row, "intent")
    config = run_context.of_run(session, row).aws
    return row, row.execution_arn, config


def _write(database: Database, actor: Actor, run_id: str, status: str, sentence: str) -> RunView:
    with database.write() as session:
        row = repository.lock_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        if status == "failed":  # AWS did not take it: the run is what it was
            row.status, row.settled, row.active_key, row.next_look_at = status, True, None, None
        else:
            row.status, row.finished_at = status, None
            row.detail = sentence
            row.public_detail = sentence if status == "running" else "A redrive was asked for."
            row.next_look_at = clock.now() + timedelta(seconds=tracker.PAUSES[0])
        _record(session, actor, row, "outcome", "accepted" if status == "running" else status)
        return views.run_view(row, actor)


def _record(
    session: WriteSession, actor: Actor, row: IngestionRun, phase: audit.Phase, outcome: str = ""
) -> None:
    audit.record(
        session,
        actor,
        ACTION,
        subject=row.dataset_urn or row.job_urn or "",
        phase=phase,
        outcome=outcome,
        details={"run_id": row.run_id},
    )


def _load(database: Database, run_id: str) -> tuple[IngestionRun, AwsConfig]:
    with database.read() as session:
        row = repository.find_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        return row, run_context.of_run(session, row).aws
