"""One status check of a run in AWS: what the log or the execution says, in honest words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.core import clock
from backend.core.errors import UpstreamError
from backend.integrations.aws import logs, metrics
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsDenied, AwsNotFound
from backend.integrations.aws.gateway import Execution, Gateway, default_log_group, execution_arn
from backend.integrations.aws.logs import CallLog, LogTooLong
from backend.models.ingestion import IngestionRun

#: The longest a Lambda call may take, when AWS did not tell the function's own limit.
LAMBDA_LIMIT = 900
#: Log lines arrive late, and Lambda waits one and two minutes before its second and third try.
LOG_GRACE = timedelta(seconds=120)
RETRY_GRACE = timedelta(seconds=200)
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
}


@dataclass
class Observation:
    """What a status check saw. Fields that stay None or empty do not change the row.

    settled: no further look will change anything, and the dataset may be run again.
    note: beside what is known already, which stays: why nothing could be learned now.
    """

    status: str | None = None
    detail: str = ""
    public_detail: str = ""
    settled: bool = False
    request_id: str | None = None
    execution_arn: str | None = None
    attempts: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    log_tail: tuple[str, ...] | None = None
    note: str = ""


def check(config: AwsConfig, row: IngestionRun) -> Observation:
    """Ask AWS about a run. Raises the adapter's errors when AWS cannot be asked."""
    if row.target_kind == "lambda":
        found = _lambda(config, row)
        if found.status == "unknown" and row.invocation != "sync":
            found.detail += f" {_elsewhere(config, row.target)}"
        return found
    if row.machine_type == "EXPRESS":
        return _express(config, row)
    return _execution(config, row)


# -- Step Functions --------------------------------------------------------------------------------


def _execution(config: AwsConfig, row: IngestionRun) -> Observation:
    arn = row.execution_arn or execution_arn(row.target, row.run_id)
    try:
        told = Gateway(config).execution(arn)
    except AwsNotFound:
        return _no_execution(row)
    except AwsDenied as exc:
        return _not_described(row, exc)
    if _before_the_redrive(row, told):
        return Observation()
    status = _EXECUTION.get(told.status, "unknown")
    by = row.stop_requested_by if told.status == "ABORTED" else None
    public = f"Step Functions says {told.status}."
    public += f" {by} asked for it." if by else ""
    public += f" It was redriven {_times(told.redrives)}." if told.redrives else ""
    why = _cut(": ".join(part for part in (told.error, told.cause) if part))
    return Observation(
        status=status,
        detail=f"{public} {why}".strip(),
        public_detail=public,
        settled=status in ("succeeded", "failed"),
        execution_arn=arn,
        attempts=1 + told.redrives,
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
        and _age(row) < CONSISTENT_AFTER
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _cut(text: str) -> str:
    if len(text) <= MAX_CAUSE:
        return text
    return f"{text[:MAX_CAUSE]} … (cut; {len(text):,} characters in all)"


def _not_described(row: IngestionRun, exc: AwsDenied) -> Observation:
    """Nobody can tell how it goes, and in time it must not keep the dataset for ever."""
    settled = _age(row) > UNDESCRIBED
    free = "The dataset may be run again." if settled else "Its dataset can be released by hand."
    return Observation(
        "unknown",
        f"The portal lacks the right states:DescribeExecution, so the outcome cannot be seen: "
        f"{exc.cause}. Look at the execution in AWS. {free}",
        f"The portal may not see executions, so the outcome cannot be known. {free}",
        settled=settled,
    )


def _no_execution(row: IngestionRun) -> Observation:
    if row.started_at is None and _age(row) < CONSISTENT_AFTER:
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


def _express(config: AwsConfig, row: IngestionRun) -> Observation:
    """EXPRESS executions cannot be described; the machine's own log has how they ended."""
    over = _age(row) > EXPRESS_LIMIT + LOG_GRACE
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
    except (AwsNotFound, AwsDenied, LogTooLong) as exc:
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


# -- Lambda ----------------------------------------------------------------------------------------


def _elsewhere(config: AwsConfig, function: str) -> str:
    """Where a person can look who wants to know how an asynchronous call ended."""
    try:
        found = Gateway(config).records(function)
    except UpstreamError as exc:
        return f"Where else its end is recorded cannot be asked for: {exc.message}"
    if not found:
        return (
            "The function has no failure destination and no dead-letter target that would tell; "
            "with one, or with invocation: sync in the mapping, the next run's end is known."
        )
    named = "; ".join(f"its {setting} {arn}" for setting, arn in found.items())
    return f"Look for this run's id in what Lambda leaves elsewhere: {named}."


def _lambda(config: AwsConfig, row: IngestionRun) -> Observation:
    group = row.log_group or default_log_group(row.target)
    region = row.region or Gateway(config).region(row.target)
    since = row.created_at - timedelta(minutes=2)
    try:
        request_id = row.request_id or logs.find_request(
            config, log_group=group, region=region, text=row.run_id, since=since
        )
        if not request_id:
            return _never_seen(row)
        call = logs.read_call(
            config,
            log_group=group,
            region=region,
            request_id=request_id,
            since=since,
            runtime=Gateway(config).runtime(row.target),
        )
    except AwsNotFound:
        return _no_lines(
            row,
            f"The log group {group} does not exist, so nobody can see what became of the "
            "call. Lambda makes it at a function's first run, if its role may.",
            "The function's log does not exist, so the outcome cannot be seen.",
        )
    except AwsDenied as exc:
        return _no_lines(
            row,
            f"{exc.message} Without it the outcome cannot be seen.",
            "The portal may not read the function's log, so the outcome cannot be seen.",
        )
    except LogTooLong as exc:
        return _no_lines(
            row, exc.message, "The function's log is too long to be searched for the outcome here."
        )
    return _witnessed(config, row, region, call, _from_lines(row, call))


def _witnessed(
    config: AwsConfig, row: IngestionRun, region: str, call: CallLog, found: Observation
) -> Observation:
    """Where the log does not tell how the call ended, or not surely, the function's Errors metric
    may."""
    begun = call.last_begun_at
    if begun is None or not (call.state == "ended" or call.doubtful):
        return found
    # A try is counted in the minute in which it began, but only once it has ended.
    counted = clock.now() - (call.finished_at or begun) > metrics.COUNTED_AFTER
    try:
        failed = counted and metrics.failed(config, function=row.target, region=region, begun=begun)
    except UpstreamError as exc:
        found.settled = found.settled and counted
        if call.state == "ended":
            found.detail += f" The metric cannot be read: {exc.message}"
        return found
    if not counted:
        found.settled = False
        if call.doubtful:
            found.detail += " Whether Lambda counts it as an error is asked in a few minutes."
    elif call.doubtful:
        _judged_again(call, found, failed)
    elif failed is None:
        found.detail += " The metric of that minute does not tell it either."
    else:
        found.status, found.settled = ("failed", found.settled) if failed else ("succeeded", True)
        found.detail = found.public_detail = _tries(
            "The function ended with an error, says its Errors metric; its log does not"
            if failed
            else "The function ended without an error, says its Errors metric",
            call,
        )
    return found


def _judged_again(call: CallLog, found: Observation, failed: bool | None) -> None:
    """The log says failed, as it does of an error that the function dealt with and printed last."""
    if failed is False:
        found.status, found.settled = "succeeded", True
        found.detail = found.public_detail = _tries(
            "The function ended without an error, says its Errors metric; the error at the end of "
            "its log is one that it dealt with",
            call,
        )


def _from_lines(row: IngestionRun, call: CallLog) -> Observation:
    found = Observation(
        request_id=call.request_id,
        attempts=call.attempts,
        started_at=call.started_at,
        finished_at=call.finished_at,
        log_tail=call.tail,
    )
    if call.state == "missing":
        return _waiting(row, found)
    if call.state == "succeeded":
        found.status, found.settled = "succeeded", True
        found.detail = found.public_detail = _tries("The function ended without an error", call)
    elif call.state == "ended":
        # A try that failed without a trace is repeated by Lambda: until then the run stays open.
        found.status = "unknown"
        found.settled = call.attempts >= row.max_attempts or _quiet_since(call) > RETRY_GRACE
        found.detail = found.public_detail = _tries(
            "The function ended; its log does not tell whether it succeeded", call
        )
        found.detail += (
            " This runtime leaves no trace of a failure in the log: look at the function's Errors "
            "metric at that time, or at what it was to load."
        )
    elif call.state == "failed":
        found.status = "failed"
        found.public_detail = _tries("The function ended with an error", call)
        found.detail = f"{found.public_detail} {call.error.rstrip('.')}."
        found.settled = call.attempts >= row.max_attempts or _quiet_since(call) > RETRY_GRACE
        if not found.settled:
            found.detail += f" Lambda may try again ({row.max_attempts} tries in all)."
    else:
        found.status, found.finished_at = "running", None
        found.detail = found.public_detail = _tries("The function is running", call)
        if _age(row) > _limit(row) + RETRY_GRACE * 2:
            found.status, found.settled = "unknown", True
            found.detail = found.public_detail = "The function began and its end was never logged."
    return found


def _waiting(row: IngestionRun, found: Observation) -> Observation:
    found.detail = found.public_detail = "Accepted by AWS; the function has not logged its start."
    if _age(row) > _limit(row) + LOG_GRACE:
        found.status, found.settled = "unknown", True
        found.detail = found.public_detail = (
            "No line of this call was ever logged. AWS may have dropped it, still hold it back "
            "(up to six hours), or the function may log elsewhere."
        )
    return found


def _never_seen(row: IngestionRun) -> Observation:
    sentence = (
        "AWS's answer to the start was lost, and the function's log does not mention this run."
    )
    if _age(row) > _limit(row) + LOG_GRACE:
        return Observation("unknown", sentence, sentence, settled=True)
    return Observation("unknown", f"{sentence} Still looking.", f"{sentence} Still looking.")


def _no_lines(row: IngestionRun, detail: str, public: str) -> Observation:
    over = _age(row) > _limit(row) + LOG_GRACE
    if row.status == "failed":
        # It failed, as the log said before; whether Lambda's next try did better stays open.
        return Observation(note=detail, settled=over)
    return Observation("unknown", detail, public, settled=over)


def _tries(sentence: str, call: CallLog) -> str:
    return f"{sentence}." if call.attempts < 2 else f"{sentence} (try {call.attempts})."


def _limit(row: IngestionRun) -> timedelta:
    return timedelta(seconds=row.timeout_seconds or LAMBDA_LIMIT)


def _age(row: IngestionRun) -> timedelta:
    return clock.now() - (row.sent_at or row.created_at)


def _quiet_since(call: CallLog) -> timedelta:
    last = call.finished_at or call.started_at
    return clock.now() - last if last is not None else timedelta(0)
