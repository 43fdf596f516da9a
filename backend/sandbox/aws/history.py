"""The history of an execution of the stand-in: one task, in the form of a real one's events."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

DEFINITION = {
    "StartAt": "Ingest",
    "States": {
        "Ingest": {
            "Type": "Task",
            "Resource": "arn:aws:states:::glue:startJobRun.sync",
            "Next": "Loaded",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Not loaded"}],
        },
        "Loaded": {"Type": "Succeed"},
        "Not loaded": {"Type": "Fail", "Error": "IngestError"},
    },
}


def events(execution: Any) -> list[dict[str, Any]]:
    """What GetExecutionHistory answers for a moto execution as it stands."""
    told = list(_told(execution))
    return [
        {"id": number, "previousEventId": number - 1, "type": kind, "timestamp": _epoch(at)} | more
        for number, (kind, at, more) in enumerate(told, start=1)
    ]


def _told(execution: Any) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    begun, ended, status = execution.start_date, execution.stop_date, execution.status
    task = {"resourceType": "glue", "resource": "startJobRun.sync"}
    yield "ExecutionStarted", begun, {}
    yield "TaskStateEntered", begun, {"stateEnteredEventDetails": {"name": "Ingest"}}
    yield "TaskScheduled", begun, {"taskScheduledEventDetails": task}
    if status == "RUNNING":
        return
    why = {"error": execution.error or status, "cause": execution.cause or ""}
    if status == "ABORTED":
        yield "TaskStateAborted", ended, {}
        yield "ExecutionAborted", ended, {}
        return
    if status != "SUCCEEDED":
        yield "TaskFailed", ended, {"taskFailedEventDetails": task | why}
    yield "TaskStateExited", ended, {"stateExitedEventDetails": {"name": "Ingest"}}
    last = "Loaded" if status == "SUCCEEDED" else "Not loaded"
    kind = "SucceedStateEntered" if status == "SUCCEEDED" else "FailStateEntered"
    yield kind, ended, {"stateEnteredEventDetails": {"name": last}}
    if status == "SUCCEEDED":
        yield "SucceedStateExited", ended, {"stateExitedEventDetails": {"name": last}}
        yield "ExecutionSucceeded", ended, {}
        return
    end = "ExecutionTimedOut" if status == "TIMED_OUT" else "ExecutionFailed"
    details = f"e{end[1:]}EventDetails"
    yield end, ended, {details: why}


def _epoch(at: datetime) -> float:
    return at.timestamp()
