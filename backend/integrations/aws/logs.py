"""What became of one asynchronous Lambda call, read from its lines in CloudWatch Logs.

A stream serves one call at a time, so everything between a call's START and REPORT lines belongs
to it, also the traceback that does not carry the request id. Text and JSON log formats are read.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import translated

SYSTEM = "CloudWatch Logs"
MAX_LINES = 200
MAX_EVENTS = 1000

_REQUEST = re.compile(r"RequestId: ?([0-9A-Za-z-]{8,})")
_STATUS = re.compile(r"\bStatus: (\w+)")
_FAILED = re.compile(
    r"^\[ERROR\] \S|\bTask timed out after\b|\bInvoke Error\b|^RequestId: \S+ Error:|"
    r"\bUncaught Exception\b|\bProcess exited before completing request\b",
    re.MULTILINE,
)


@dataclass(frozen=True)
class CallLog:
    """What the lines say about a call.

    state: missing (no line yet), running, succeeded, failed. attempts: how often it was begun.
    error: the line that tells why it failed. tail: the last lines, oldest first.
    """

    state: str
    attempts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    tail: tuple[str, ...] = ()
    request_id: str = ""


@dataclass
class _Attempt:
    stream: str
    start: int
    lines: list[str]
    end: int | None = None
    failed: bool = False
    error: str = ""


def read_call(
    config: AwsConfig, *, log_group: str, region: str, request_id: str, since: datetime
) -> CallLog:
    """The state of the call with this request id.

    Raises AwsNotFound when the log group does not exist, AwsDenied when it may not be read.
    """
    with translated(SYSTEM, subject=f"the log group {log_group}", region=region):
        logs = clients.client(config, "logs", region=region)
        marks = _find(logs, log_group, f'"{request_id}"', since)
        starts = [event for event in marks if is_start(event["message"], request_id)]
        if not marks:
            return CallLog("missing", request_id=request_id)
        attempts = [_attempt(logs, log_group, event, request_id) for event in starts or marks[:1]]
    return summarise(attempts, request_id)


def find_request(
    config: AwsConfig, *, log_group: str, region: str, text: str, since: datetime
) -> str:
    """The request id of a call whose lines mention `text` (our run id), or empty.

    For a start whose answer was lost: functions that log their event tell us who they are.
    """
    with translated(SYSTEM, subject=f"the log group {log_group}", region=region):
        logs = clients.client(config, "logs", region=region)
        for event in _find(logs, log_group, f'"{text}"', since):
            earlier = _stream(logs, log_group, event["logStreamName"], since, event["timestamp"])
            ids = [found for line in earlier if (found := start_of(line["message"]))]
            if ids:
                return ids[-1]
    return ""


def start_of(line: str) -> str:
    """The request id of a START line (text or JSON), else empty."""
    record = _json(line)
    if record is not None:
        if record.get("type") == "platform.start":
            return str(record.get("record", {}).get("requestId", ""))
        return ""
    if not line.startswith("START "):
        return ""
    match = _REQUEST.search(line)
    return match.group(1) if match else ""


def is_start(line: str, request_id: str) -> bool:
    return start_of(line) == request_id


def summarise(attempts: list[_Attempt], request_id: str) -> CallLog:
    """One call's attempts as one state: the last one decides."""
    last = attempts[-1]
    if last.end is None:
        state = "failed" if last.failed else "running"
    else:
        state = "failed" if last.failed else "succeeded"
    return CallLog(
        state=state,
        attempts=len(attempts),
        started_at=_when(attempts[0].start),
        finished_at=_when(last.end),
        error=last.error,
        tail=tuple(last.lines[-MAX_LINES:]),
        request_id=request_id,
    )


def _attempt(logs: Any, group: str, start: dict[str, Any], request_id: str) -> _Attempt:
    stream, begun = start["logStreamName"], int(start["timestamp"])
    attempt = _Attempt(stream=stream, start=begun, lines=[])
    inside = False
    for event in _stream(logs, group, stream, _when(begun), None):
        line = event["message"].rstrip("\n")
        begins = start_of(line)
        if begins:
            if inside and begins != request_id:
                break
            inside = inside or begins == request_id
        if not inside and request_id not in line:
            continue
        inside = True
        attempt.lines.append(line)
        _judge(attempt, line, request_id, int(event["timestamp"]))
        if attempt.end is not None:
            break
    return attempt


def _judge(attempt: _Attempt, line: str, request_id: str, at: int) -> None:
    record = _json(line)
    if record is not None:
        if record.get("type") == "platform.report":
            attempt.end = at
            report = record.get("record", {})
            if report.get("status", "success") != "success":
                attempt.failed = True
                kind = report.get("errorType") or "no error type"
                attempt.error = attempt.error or f"{report['status']}: {kind}"
        return
    if line.startswith("REPORT ") and request_id in line:
        attempt.end = at
        status = _STATUS.search(line)
        if status and status.group(1) not in ("success", "ok"):
            attempt.failed = True
            attempt.error = attempt.error or line[:500]
    elif _FAILED.search(line):
        attempt.failed = True
        attempt.error = attempt.error or line.splitlines()[0][:500]


def _find(logs: Any, group: str, pattern: str, since: datetime) -> list[dict[str, Any]]:
    """Events that match, oldest first; at most MAX_EVENTS, over however many pages."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    for _ in range(20):
        page = logs.filter_log_events(
            logGroupName=group, filterPattern=pattern, startTime=_ms(since), **token
        )
        found += page.get("events", [])
        if len(found) >= MAX_EVENTS or not page.get("nextToken"):
            break
        token = {"nextToken": page["nextToken"]}
    return sorted(found, key=lambda event: int(event["timestamp"]))[:MAX_EVENTS]


def _stream(
    logs: Any, group: str, stream: str, since: datetime | None, until: int | None
) -> list[dict[str, Any]]:
    arguments: dict[str, Any] = {"logGroupName": group, "logStreamName": stream}
    if since is not None:
        arguments["startTime"] = _ms(since)
    if until is not None:
        arguments["endTime"] = until + 1
    return list(
        logs.get_log_events(startFromHead=True, limit=MAX_EVENTS, **arguments).get("events", [])
    )


def _json(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _ms(value: datetime) -> int:
    return int(value.timestamp() * 1000)


def _when(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, tz=UTC) if ms is not None else None
