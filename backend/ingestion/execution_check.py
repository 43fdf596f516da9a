"""One status check of an execution: of a state machine, or of a durable function."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.core import clock
from backend.ingestion.observations import LAMBDA_LIMIT, LOG_GRACE, Observation, age, limit
from backend.integrations.aws import durable as durable_executions
from backend.integrations.aws import logs
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsCredentials, AwsDenied, AwsNotFound, AwsRefused
from backend.integrations.aws.gateway import Execution, Gateway, execution_arn
from backend.integrations.aws.logs import LogTooLong
from backend.models.ingestion import IngestionRun

EXPRESS_LIMIT = timedelta(minutes=5)
#: DescribeExecution is eventually consistent: this young, "does not exist" means nothing.
CONSISTENT_AFTER = timedelta(seconds=45)

#: A run that may not be described keeps its dataset for as long as a Lambda call could.
UNDESCRIBED = timedelta(seconds=LAMBDA_LIMIT)
#: Letters of an execution's own error and cause (AWS takes 32,768 of a cause).
MAX_CAUSE = 8_000

NO_MACHINE_LOG = "The state machine's log cannot be read, so the outcome cannot be seen."

_EXECUTION = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "ABORTED": "failed",
    "STOPPED": "failed",  # of a durable execution
}


def execution(config: AwsConfig, row: IngestionRun) -> Observation:
    arn = row.execution_arn or execution_arn(row.target, row.run_id)
    try:
        told = Gateway(config).execution(arn)
    except AwsNotFound:
        return _no_execution(row)
    except AwsDenied as exc:
        return _not_described(row, exc, "states:DescribeExecution", UNDESCRIBED)
    if _before_the_redrive(row, told):
        return Observation()
    by = row.stop_requested_by if told.status == "ABORTED" else None
    public = f"Step Functions says {told.status}."
    public += f" {by} asked for it." if by else ""
    public += f" It was redriven {_times(told.redrives)}." if told.redrives else ""
    return replace(_observed(told, public), execution_arn=arn, attempts=1 + told.redrives)


def durable(config: AwsConfig, row: IngestionRun) -> Observation:
    """How a durable function's execution stands; its log tells of single calls only."""
    try:
        told = durable_executions.execution(config, row.execution_arn)
    except AwsNotFound:
        if row.started_at is None and age(row) < CONSISTENT_AFTER:
            sentence = "Lambda does not show the durable execution yet."
            return Observation(detail=sentence, public_detail=sentence)
        sentence = "Lambda no longer knows the durable execution. Its outcome cannot be known."
        return Observation("unknown", sentence, sentence, settled=True)
    except AwsDenied as exc:
        return _not_described(row, exc, "lambda:GetDurableExecution", limit(row))
    return _observed(told, f"Lambda says {told.status} of the durable execution.")


def _observed(told: Execution, public: str) -> Observation:
    status = _EXECUTION.get(told.status, "unknown")
    why = _cut(": ".join(part for part in (told.error, told.cause) if part))
    return Observation(
        status=status,
        detail=f"{public} {why}".strip(),
        public_detail=public,
        settled=status in ("succeeded", "failed"),
        started_at=told.started_at,
        finished_at=told.stopped_at,
    )


def _before_the_redrive(row: IngestionRun, told: Execution) -> bool:
    """DescribeExecution lags: what ended before the redrive was sent is no news of it."""
    return (
        row.status in ("running", "unknown")
        and told.stopped_at is not None
        and row.sent_at is not None
        and told.stopped_at < row.sent_at
        and 1 + told.redrives <= row.attempts
        and age(row) < CONSISTENT_AFTER
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _cut(text: str) -> str:
    if len(text) <= MAX_CAUSE:
        return text
    return f"{text[:MAX_CAUSE]} … (cut; {len(text):,} characters in all)"


def _not_described(row: IngestionRun, exc: AwsDenied, right: str, keeps: timedelta) -> Observation:
    """Nobody can tell how it goes, and in time it must not keep the dataset for ever."""
    settled = age(row) > keeps
    free = "The dataset may be run again." if settled else "Its dataset can be released by hand."
    return Observation(
        "unknown",
        f"The portal lacks the right {right}, so the outcome cannot be seen: "
        f"{exc.cause}. Look at the execution in AWS. {free}",
        f"The portal may not see executions, so the outcome cannot be known. {free}",
        settled=settled,
    )


def _no_execution(row: IngestionRun) -> Observation:
    if row.started_at is None and age(row) < CONSISTENT_AFTER:
        sentence = "Step Functions does not show the execution yet."
        return Observation(detail=sentence, public_detail=sentence)
    if row.started_at is None and row.status == "unknown":
        sentence = "Step Functions has no such execution: the start never arrived."
        return Observation("failed", sentence, sentence, settled=True, finished_at=clock.now())
    if row.status == "failed":
        return Observation(settled=True)  # asked for a redrive only; what was known stays
    sentence = (
        "Step Functions no longer knows the execution: its state machine may have been deleted, or "
        "it ended more than 90 days ago. Its outcome cannot be known."
    )
    return Observation("unknown", sentence, sentence, settled=True)


def express(config: AwsConfig, row: IngestionRun) -> Observation:
    """EXPRESS executions cannot be described; the machine's own log has how they ended."""
    over = age(row) > EXPRESS_LIMIT + LOG_GRACE
    if not row.log_group:
        sentence = (
            "EXPRESS executions cannot be described, and this state machine keeps no log. Set its "
            "log level to ALL to see outcomes here."
        )
        return Observation("unknown", sentence, sentence, settled=True) if over else Observation()
    try:
        event, seen = logs.find_execution_end(
            config,
            log_group=row.log_group,
            region=row.region or Gateway(config).region(row.target),
            name=row.run_id,
            since=row.created_at - timedelta(minutes=2),
        )
    except AwsCredentials:
        raise  # new ones let it be read
    except (AwsNotFound, AwsRefused, LogTooLong) as exc:
        return Observation("unknown", exc.message, NO_MACHINE_LOG, settled=over)
    if event is not None:
        return _express_end(event)
    if not over:
        return Observation("running" if seen else None)
    sentence = (
        "The execution has ended (EXPRESS ones last five minutes at most); the state machine's log "
        "does not tell how. Below the level ALL it names failures only."
    )
    return Observation("unknown", sentence, sentence, settled=True)


def _express_end(event: dict[str, Any]) -> Observation:
    public = f"The state machine's log says {event['type']}."
    told = event.get("details")
    told = told if isinstance(told, dict) else {}
    why = _cut(": ".join(str(told[part]) for part in ("error", "cause") if told.get(part)))
    at = str(event.get("event_timestamp") or "")
    return Observation(
        logs.EXECUTION_ENDS[event["type"]],
        detail=f"{public} {why}".strip(),
        public_detail=public,
        settled=True,
        execution_arn=str(event["execution_arn"]),
        finished_at=datetime.fromtimestamp(int(at) / 1000, tz=UTC) if at.isdigit() else None,
    )
