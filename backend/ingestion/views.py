"""Rows of runs as views, with AWS names only for those who may read the mapping."""

from datetime import timedelta

from backend.core import clock
from backend.core.access import Actor, Permission
from backend.ingestion.schemas import RunView, Status
from backend.ingestion.targets import Target
from backend.integrations.aws import reports
from backend.models.ingestion import IngestionRun

#: How long a failed execution can be redriven: AWS's limit.
REDRIVE = timedelta(days=14)


def run_view(row: IngestionRun, actor: Actor) -> RunView:
    """The run as this actor may see it."""
    named = actor.may(Permission.INGESTION_MAPPING_READ)
    # mypy: written from a Literal, read back as str
    status: Status = row.status  # type: ignore[assignment]
    return RunView(
        run_id=row.run_id,
        environment=row.environment_name,
        dataset_urn=row.dataset_urn,
        job_urn=row.job_urn,
        status=status,
        detail=row.detail if named else row.public_detail,
        settled=row.settled,
        active=row.active_key is not None,
        rule=row.rule,
        reason=row.reason,
        actor_name=row.actor_name,
        actor_kind=row.actor_kind,
        existence=row.existence,
        created_at=row.created_at,
        sent_at=row.sent_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        looked_at=row.looked_at,
        attempts=row.attempts,
        rerun_of=row.rerun_of,
        payload=row.payload,
        payload_hash=row.payload_hash,
        stop_requested_by=row.stop_requested_by,
        can_stop=can_stop(row),
        can_redrive=row.settled and redrivable(row),
        report=reports.last(row.log_tail.splitlines()) if row.log_tail else None,
        invocation=row.invocation,
        error_status=row.error_status,
        answered=row.answered,
        datahub=in_datahub(row),
        # mypy: written from a Literal, read back as str
        target=Target(row.target_kind, row.target) if named else None,  # type: ignore[arg-type]
        rule_source=row.rule_source if named else None,
        rule_pattern=row.rule_pattern if named else None,
        region=row.region if named else None,
        machine_type=row.machine_type if named else None,
        request_id=row.request_id if named else None,
        execution_arn=row.execution_arn if named else None,
        log_group=row.log_group if named else None,
        log_tail=tuple(row.log_tail.splitlines()) if named and row.log_tail else (),
    )


def in_datahub(row: IngestionRun) -> str:
    """What DataHub was told of the run, in a sentence; "" when it is not told."""
    if row.reported is None:
        return ""
    if row.report_problem:
        ends = "It is told again." if row.report_at else "It is not told again."
        return f"DataHub could not be told: {row.report_problem} {ends}"
    return {
        "": "DataHub is told of this run.",
        "started": "DataHub shows that it was started.",
        "unknown": "DataHub shows that it was started, and no end: how it ended is not known.",
    }.get(row.reported, "DataHub shows how it ended.")


def can_stop(row: IngestionRun) -> bool:
    """Only STANDARD executions that may still be going can be stopped."""
    return (
        row.target_kind == "stepfunctions"
        and row.machine_type == "STANDARD"
        and not row.settled
        and bool(row.execution_arn)
        and row.stop_outcome != "accepted"
    )


def redrivable(row: IngestionRun) -> bool:
    """Whether somebody may yet redrive the failed execution in AWS, which makes it go on."""
    return (
        row.status == "failed"
        and row.machine_type == "STANDARD"
        and row.started_at is not None
        and clock.now() - (row.finished_at or row.created_at) < REDRIVE
    )
