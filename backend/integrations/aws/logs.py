"""What became of one asynchronous Lambda call, read from its lines in CloudWatch Logs.

A stream serves one call at a time, so everything between a call's START and REPORT lines belongs
to it, also the traceback that does not carry the request id. Text and JSON log formats are read.
CloudWatch answers in pages, and a page may be short or empty with more to come: a verdict is given
only after the last one.
"""

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backend.core.errors import UpstreamError
from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import translated

SYSTEM = "CloudWatch Logs"
MAX_LINES = 200
#: AWS's own upper limit of one page.
PAGE_LINES = 10_000
#: How long one question may turn pages; a look at a run asks two at most.
SEARCH_SECONDS = 40.0

_REQUEST = re.compile(r"RequestId: ?([0-9A-Za-z-]{8,})")
_STATUS = re.compile(r"\bStatus: (\w+)")
_FAILED = re.compile(
    r"^\[ERROR\] \S|\bTask timed out after\b|\bInvoke Error\b|^RequestId: \S+ Error:|"
    r"\bUncaught Exception\b|\bProcess exited before completing request\b",
    re.MULTILINE,
)


class LogTooLong(UpstreamError):
    """The log could not be read to its end in the time that is there for it."""


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
    start: int
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    end: int | None = None
    failed: bool = False
    error: str = ""


def read_call(
    config: AwsConfig, *, log_group: str, region: str, request_id: str, since: datetime
) -> CallLog:
    """The state of the call with this request id.

    Raises AwsNotFound when the log group does not exist, AwsDenied when it may not be read,
    LogTooLong when it could not be read to its end.
    """
    with translated(SYSTEM, subject=f"the log group {log_group}", region=region):
        log = _Log(clients.client(config, "logs", region=region), log_group)
        starts, first = [], None
        for event in log.find(f'"{request_id}"', since):
            first = first or event
            if is_start(event["message"], request_id):
                starts.append(event)
        if first is None:
            return CallLog("missing", request_id=request_id)
        starts = sorted(starts, key=_at) or [first]
        last = _attempt(log, starts[-1], request_id)
    return _summary(last, starts, request_id)


def find_request(
    config: AwsConfig, *, log_group: str, region: str, text: str, since: datetime
) -> str:
    """The request id of a call whose lines mention `text` (our run id), or empty.

    For a start whose answer was lost: functions that log their event tell us who they are.
    Raises as `read_call` does.
    """
    with translated(SYSTEM, subject=f"the log group {log_group}", region=region):
        log = _Log(clients.client(config, "logs", region=region), log_group)
        for stream in dict.fromkeys(hit["logStreamName"] for hit in log.find(f'"{text}"', since)):
            begun = ""
            for event in log.lines(stream, _ms(since)):
                begun = start_of(event["message"]) or begun
                if begun and text in event["message"]:
                    return begun
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


def _summary(last: _Attempt, starts: list[dict[str, Any]], request_id: str) -> CallLog:
    """One call's attempts as one state: the last one decides."""
    if last.end is None:
        state = "failed" if last.failed else "running"
    else:
        state = "failed" if last.failed else "succeeded"
    return CallLog(
        state=state,
        attempts=len(starts),
        started_at=_when(_at(starts[0])),
        finished_at=_when(last.end),
        error=last.error,
        tail=tuple(last.lines),
        request_id=request_id,
    )


def _attempt(log: "_Log", start: dict[str, Any], request_id: str) -> _Attempt:
    attempt = _Attempt(start=_at(start))
    inside = False
    for event in log.lines(start["logStreamName"], attempt.start):
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
        _judge(attempt, line, request_id, _at(event))
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


class _Log:
    """One log group, read page by page for SEARCH_SECONDS at most."""

    def __init__(self, logs: Any, group: str) -> None:
        self._logs, self._group = logs, group
        self._until = time.monotonic() + SEARCH_SECONDS

    def find(self, pattern: str, since: datetime) -> Iterator[dict[str, Any]]:
        """Events of all streams that match, in AWS's order. Raises LogTooLong."""
        token: dict[str, str] = {}
        while True:
            page = self._logs.filter_log_events(
                logGroupName=self._group, filterPattern=pattern, startTime=_ms(since), **token
            )
            yield from page.get("events", [])
            if not page.get("nextToken"):
                return
            token = self._next(page["nextToken"])

    def lines(self, stream: str, since: int) -> Iterator[dict[str, Any]]:
        """A stream's events from an instant (milliseconds) on, oldest first. Raises LogTooLong."""
        token: dict[str, str] = {}
        while True:
            page = self._logs.get_log_events(
                logGroupName=self._group,
                logStreamName=stream,
                startTime=since,
                startFromHead=True,
                limit=PAGE_LINES,
                **token,
            )
            yield from page.get("events", [])
            # An empty page is not the end; the end gives back the token it was asked with.
            if page["nextForwardToken"] == token.get("nextToken"):
                return
            token = self._next(page["nextForwardToken"])

    def _next(self, token: str) -> dict[str, str]:
        if time.monotonic() > self._until:
            raise LogTooLong(
                SYSTEM,
                f"the log group {self._group} could not be read to its end within "
                f"{SEARCH_SECONDS:.0f} seconds",
                "Look for the call there.",
            )
        return {"nextToken": token}


def _json(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _at(event: dict[str, Any]) -> int:
    return int(event["timestamp"])


def _ms(value: datetime) -> int:
    return int(value.timestamp() * 1000)


def _when(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, tz=UTC) if ms is not None else None
