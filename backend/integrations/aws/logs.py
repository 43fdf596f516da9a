"""What became of one asynchronous Lambda call, read from its lines in CloudWatch Logs.

Everything between a call's START and REPORT lines belongs to it, also the traceback that does not
carry the request id; `outcome` judges it. A program can print lines that look like the platform's:
a REPORT counts with its END before it, a START only outside a call. CloudWatch answers in pages,
and a page may be short or empty with more to come: a verdict is given only after the last one.
"""

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backend.core.errors import UpstreamError
from backend.integrations.aws import clients, outcome
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.outcome import Outcome, json_record

SYSTEM = "CloudWatch Logs"
MAX_LINES = 200
#: AWS's own upper limit of one page.
PAGE_LINES = 10_000
#: How long one question may turn pages; a look at a run asks two at most.
SEARCH_SECONDS = 40.0

_REQUEST = re.compile(r"RequestId: ?([0-9A-Za-z-]{8,})")
_REPORT = re.compile(r"REPORT RequestId: ID\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms")
#: The last event of an execution, and how it ended.
EXECUTION_ENDS = {
    "ExecutionSucceeded": "succeeded",
    "ExecutionFailed": "failed",
    "ExecutionTimedOut": "failed",
    "ExecutionAborted": "failed",
}
#: How far before START the failures of a function's own loading stand (it may take ten seconds,
#: and is tried twice).
INIT_MS = 60_000
#: Events of one attempt kept for the verdict: the first ones and the last ones matter.
MAX_EVENTS = 20_000


class LogTooLong(UpstreamError):
    """The log could not be read to its end in the time that is there for it."""


@dataclass(frozen=True)
class CallLog:
    """What the lines say about a call.

    state: missing (no line yet), running, succeeded, failed, or ended (it is over, and nothing in
    the log tells how). attempts: how often it was begun; last_begun_at: the last of them. error:
    the runtime's own words for why it failed. doubtful: as of an Outcome. tail: the last lines,
    oldest first.
    """

    state: str
    attempts: int = 0
    started_at: datetime | None = None
    last_begun_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    doubtful: bool = False
    tail: tuple[str, ...] = ()
    request_id: str = ""


@dataclass
class _Attempt:
    """before: events since the stream's last call, where loading fails. ended_at: None while it
    runs; milliseconds."""

    start: int
    before: list[str]
    events: list[str] = field(default_factory=list)
    ended_at: int | None = None


def read_call(
    config: AwsConfig,
    *,
    log_group: str,
    region: str,
    request_id: str,
    since: datetime,
    runtime: str = "",
) -> CallLog:
    """The state of the call with this request id. runtime: of the function, "" when not known.

    Raises AwsNotFound when the log group does not exist, AwsDenied when it may not be read,
    LogTooLong when it could not be read to its end.
    """
    with clients.calling(config, SYSTEM, subject=f"the log group {log_group}", region=region):
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
    return _summary(last, starts, request_id, runtime)


def find_request(
    config: AwsConfig, *, log_group: str, region: str, text: str, since: datetime
) -> str:
    """The request id of a call whose lines mention `text` (our run id), or empty.

    For a start whose answer was lost: functions that log their event tell us who they are.
    Raises as `read_call` does.
    """
    with clients.calling(config, SYSTEM, subject=f"the log group {log_group}", region=region):
        log = _Log(clients.client(config, "logs", region=region), log_group)
        for stream in dict.fromkeys(hit["logStreamName"] for hit in log.find(f'"{text}"', since)):
            begun = ""
            for event in log.lines(stream, _ms(since)):
                begun = start_of(event["message"]) or begun
                if begun and text in event["message"]:
                    return begun
    return ""


def between(
    config: AwsConfig,
    *,
    log_group: str,
    region: str,
    since: datetime,
    until: datetime,
    limit: int,
) -> tuple[str, ...]:
    """The first `limit` lines of a log group between two instants. Raises as `read_call` does."""
    with clients.calling(config, SYSTEM, subject=f"the log group {log_group}", region=region):
        log = _Log(clients.client(config, "logs", region=region), log_group)
        lines = log.find("", since, until=until)
        return tuple(event["message"].rstrip("\n") for event in itertools.islice(lines, limit))


def find_execution_end(
    config: AwsConfig, *, log_group: str, region: str, name: str, since: datetime
) -> tuple[dict[str, Any] | None, bool]:
    """(the event with which an EXPRESS execution of this name ended, whether its log names it).

    A payload may hold the name, too: what counts is the execution's own ARN. Raises as `read_call`.
    """
    with clients.calling(config, SYSTEM, subject=f"the log group {log_group}", region=region):
        log = _Log(clients.client(config, "logs", region=region), log_group)
        seen = False
        for event in log.find(f'"{name}"', since):
            record = json_record(event["message"])
            if record is None or name not in str(record.get("execution_arn")).split(":"):
                continue
            seen = True
            if record.get("type") in EXECUTION_ENDS:
                return record, True
    return None, seen


def start_of(line: str) -> str:
    """The request id of a START line (text or JSON), else empty."""
    record = json_record(line)
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


def _summary(
    last: _Attempt, starts: list[dict[str, Any]], request_id: str, runtime: str
) -> CallLog:
    """One call's attempts as one state: the last one decides."""
    found = Outcome(None)
    if last.ended_at is not None:
        found = outcome.of_call(last.events, last.before, request_id, runtime)
    states = {True: "failed", False: "succeeded", None: "ended"}
    return CallLog(
        state=states[found.failed] if last.ended_at is not None else "running",
        attempts=len(starts),
        started_at=_when(_at(starts[0])),
        last_begun_at=_when(_at(starts[-1])),
        finished_at=_when(last.ended_at),
        error=found.error,
        doubtful=found.doubtful,
        tail=tuple(last.events[-MAX_LINES:]),
        request_id=request_id,
    )


def _attempt(log: "_Log", start: dict[str, Any], request_id: str) -> _Attempt:
    """The attempt that `start` began, to its REPORT or to where the log ends now."""
    attempt = _Attempt(start=_at(start), before=[])
    inside, other, last_at = False, None, attempt.start
    for event in log.lines(start["logStreamName"], attempt.start - INIT_MS):
        line = event["message"].rstrip("\n")
        if attempt.ended_at is not None:
            if request_id not in line or start_of(line):
                return attempt
            attempt.events.append(line)  # "Task timed out" may stand behind the REPORT
            continue
        if not inside:
            inside = _at(event) >= attempt.start and request_id in line
            if not inside:
                if line.startswith("REPORT ") or start_of(line):
                    attempt.before.clear()
                attempt.before.append(line)
                continue
        elif other is None and _is_start_of_another(line, request_id):
            other = len(attempt.events)
        _keep(attempt.events, line)
        last_at = _at(event) if other is None else last_at
        if _is_end(attempt.events, line, request_id, begun=start["message"]):
            attempt.ended_at = _at(event)
    if attempt.ended_at is not None:
        return attempt
    # Without an end of ours it was the next call; with one it was a print that looks like a start.
    del attempt.events[len(attempt.events) if other is None else other :]
    if attempt.events and _REPORT.match(attempt.events[-1].replace(request_id, "ID", 1)):
        attempt.ended_at = last_at  # its END was filtered out, and nothing came after it
    return attempt


def _is_start_of_another(line: str, request_id: str) -> bool:
    begins = start_of(line)
    # On managed instances requests interleave in one stream; their records name their request.
    return bool(begins) and begins != request_id and not line.startswith("{")


def _keep(events: list[str], line: str) -> None:
    events.append(line)
    if len(events) > MAX_EVENTS:
        del events[MAX_EVENTS // 2 : MAX_EVENTS // 2 + 1]


def _is_end(events: list[str], line: str, request_id: str, *, begun: str) -> bool:
    """The platform's own REPORT of this request: in the form of its START, where that is there; in
    text it follows the platform's END at once."""
    if is_start(begun, request_id) and begun.startswith("{") != line.startswith("{"):
        return False  # of an extension that prints what the platform tells it, for one
    record = json_record(line)
    if record is not None:
        told = record.get("record")
        if record.get("type") != "platform.report" or not isinstance(told, dict):
            return False
        return told.get("requestId") == request_id and "metrics" in told
    if not line.startswith(f"REPORT RequestId: {request_id}\tDuration: "):
        return False
    earlier = events[-2] if len(events) > 1 else ""
    return earlier.startswith(f"END RequestId: {request_id}")


class _Log:
    """One log group, read page by page for SEARCH_SECONDS at most."""

    def __init__(self, logs: Any, group: str) -> None:
        self._logs, self._group = logs, group
        self._until = time.monotonic() + SEARCH_SECONDS

    def find(
        self, pattern: str, since: datetime, *, until: datetime | None = None
    ) -> Iterator[dict[str, Any]]:
        """Events of all streams that match, in AWS's order. Raises LogTooLong."""
        token: dict[str, Any] = {"endTime": _ms(until)} if until else {}
        while True:
            page = self._logs.filter_log_events(
                logGroupName=self._group, filterPattern=pattern, startTime=_ms(since), **token
            )
            yield from page.get("events", [])
            if not page.get("nextToken"):
                return
            token |= self._next(page["nextToken"])

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


def _at(event: dict[str, Any]) -> int:
    return int(event["timestamp"])


def _ms(value: datetime) -> int:
    return int(value.timestamp() * 1000)


def _when(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, tz=UTC) if ms is not None else None
