"""One status check of a run in AWS: what the log or the execution says, in honest words."""

from datetime import timedelta

from backend.core import clock
from backend.core.errors import UpstreamError
from backend.ingestion import execution_check
from backend.ingestion.observations import LOG_GRACE, Observation, age, limit
from backend.integrations.aws import logs, metrics
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsCredentials, AwsDenied, AwsNotFound, AwsRefused
from backend.integrations.aws.gateway import DURABLE, Gateway, arn_account, default_log_group
from backend.integrations.aws.logs import CallLog, LogTooLong
from backend.models.ingestion import IngestionRun

#: Lambda waits one and two minutes before its second and third try.
RETRY_GRACE = timedelta(seconds=200)


def check(config: AwsConfig, row: IngestionRun) -> Observation:
    """Ask AWS about a run. Raises the adapter's errors when AWS cannot be asked."""
    if row.target_kind == "lambda":
        found = _lambda(config, row)
        if found.status == "unknown" and row.invocation != "sync":
            found.detail += f" {_elsewhere(config, row.target)}"
        return found
    if row.machine_type == "EXPRESS":
        return execution_check.express(config, row)
    return execution_check.execution(config, row)


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
    if row.execution_arn:
        return execution_check.durable(config, row)
    try:
        runtime = Gateway(config).runtime(row.target)
        if runtime == DURABLE:
            return _unnamed(row)
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
            runtime=runtime,
        )
    except AwsNotFound:
        return _no_lines(
            row,
            f"The log group {group} does not exist, so nobody can see what became of the "
            f"call. Lambda makes it at a function's first run, if its role may.{_abroad(row)}",
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
    except AwsCredentials:
        raise  # new ones let it be read
    except AwsRefused as exc:
        # For good: of an infrequent-access log group CloudWatch gives no single events, for one.
        return _no_lines(row, exc.message, "The function's log cannot be read by the portal.")
    return _witnessed(config, row, region, call, _from_lines(row, call))


def _abroad(row: IngestionRun) -> str:
    """Invoking reaches into other accounts, reading logs does not."""
    account = arn_account(row.target)
    if not account:
        return ""
    return (
        f" It was looked for in the account of the aws connection's credentials; the function is "
        f"of {account}: where that is another one, let the connection assume a role there."
    )


def _unnamed(row: IngestionRun) -> Observation:
    """A durable execution whose start was not answered: a call's end in the log is not its end."""
    sentence = (
        "The function is a durable one, and AWS's answer with its execution's ARN was lost: how it "
        "goes on cannot be seen here. Look for this run's id among its executions in AWS."
    )
    over = age(row) > limit(row) + LOG_GRACE
    return Observation("unknown", sentence, sentence, settled=over)


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
        if age(row) > limit(row) + RETRY_GRACE * 2:
            found.status, found.settled = "unknown", True
            found.detail = found.public_detail = "The function began and its end was never logged."
    return found


def _waiting(row: IngestionRun, found: Observation) -> Observation:
    found.detail = found.public_detail = "Accepted by AWS; the function has not logged its start."
    if age(row) > limit(row) + LOG_GRACE:
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
    if age(row) > limit(row) + LOG_GRACE:
        return Observation("unknown", sentence, sentence, settled=True)
    return Observation("unknown", f"{sentence} Still looking.", f"{sentence} Still looking.")


def _no_lines(row: IngestionRun, detail: str, public: str) -> Observation:
    over = age(row) > limit(row) + LOG_GRACE
    if row.status == "failed":
        # It failed, as the log said before; whether Lambda's next try did better stays open.
        return Observation(note=detail, settled=over)
    return Observation("unknown", detail, public, settled=over)


def _tries(sentence: str, call: CallLog) -> str:
    return f"{sentence}." if call.attempts < 2 else f"{sentence} (try {call.attempts})."


def _quiet_since(call: CallLog) -> timedelta:
    last = call.finished_at or call.started_at
    return clock.now() - last if last is not None else timedelta(0)
