"""Steps and states of an execution, from a history that an engine which executes ASL wrote."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.integrations.aws import executions
from backend.integrations.aws.executions import Step

RECORDED = json.loads(
    (Path(__file__).parent / "recorded" / "stepfunctions" / "history.json").read_text()
)
EVENTS: list[dict[str, Any]] = [
    event | {"timestamp": datetime.fromisoformat(event["timestamp"])}
    for event in RECORDED["events"]
]


def steps(events: list[dict[str, Any]]) -> list[Step]:
    return list(executions.read_steps(events))


def test_each_pass_through_a_state_is_a_step() -> None:
    told = [(step.state, step.kind, step.status) for step in steps(EVENTS)]
    assert told == [
        ("Load", "Pass", "succeeded"),
        ("Choose", "Choice", "succeeded"),
        ("Both", "Parallel", "succeeded"),
        ("A", "Pass", "succeeded"),
        ("B", "Wait", "succeeded"),
        ("Each", "Map", "succeeded"),
        ("Part", "Pass", "succeeded"),
        ("Part", "Pass", "succeeded"),
        ("Call", "Task", "succeeded"),
        ("Bad", "Fail", "failed"),
    ]


def test_the_failure_stands_at_its_step_with_its_tries() -> None:
    call, bad = steps(EVENTS)[-2:]
    assert (call.function, call.tries, call.error) == (
        "missing", 2, "Lambda.ResourceNotFoundException",
    )  # fmt: skip
    assert (bad.error, bad.cause) == ("Lost", "no table")
    assert bad.finished_at == EVENTS[-1]["timestamp"]


def test_steps_of_an_execution_that_goes_on_are_running() -> None:
    until = [event for event in EVENTS if event["id"] <= 10]
    assert [(step.state, step.status) for step in steps(until)][-3:] == [
        ("Both", "running"), ("A", "succeeded"), ("B", "running"),
    ]  # fmt: skip


def test_a_stop_cancels_what_was_open() -> None:
    at = EVENTS[9]["timestamp"] + timedelta(seconds=1)
    stopped = {"id": 11, "previousEventId": 0, "type": "ExecutionAborted", "timestamp": at}
    last = steps([*EVENTS[:10], stopped])[-1]
    assert (last.state, last.status, last.finished_at) == ("B", "cancelled", at)


def test_a_redrive_goes_on_in_the_steps_that_failed() -> None:
    """In the form of AWS's documentation; the engine of the recording knows no redrive."""
    at = EVENTS[9]["timestamp"] + timedelta(seconds=1)
    ended = {"id": 11, "previousEventId": 0, "type": "ExecutionTimedOut", "timestamp": at}
    again = {"id": 12, "previousEventId": 11, "type": "ExecutionRedriven", "timestamp": at}
    told = steps([*EVENTS[:10], ended, again])
    assert [(step.state, step.status, step.finished_at) for step in told if step.state != "A"] == [
        ("Load", "succeeded", told[0].finished_at), ("Choose", "succeeded", told[1].finished_at),
        ("Both", "running", None), ("B", "running", None),
    ]  # fmt: skip
    done = {"id": 13, "previousEventId": 12, "type": "ExecutionSucceeded", "timestamp": at}
    last = steps([*EVENTS[:10], ended, again, done])[-1]
    assert (last.state, last.status, last.finished_at) == ("B", "succeeded", at)


def test_the_states_know_where_they_lead() -> None:
    states = {state.name: state for state in executions.read_states(RECORDED["definition"])}
    assert states["Choose"].following == (("Both", "otherwise"), ("Bad", "choice"))
    assert states["Call"].following == (("Done", ""), ("Bad", "on States.ALL"))
    assert (states["A"].parent, states["Part"].parent, states["Load"].parent) == (
        "Both", "Each", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "function"),
    [
        (
            {"type": "LambdaFunctionScheduled", "lambdaFunctionScheduledEventDetails":
             {"resource": "arn:aws:lambda:eu-west-1:123456789012:function:loader:live"}},
            "loader",
        ),
        (
            {"type": "TaskScheduled", "taskScheduledEventDetails":
             {"resourceType": "glue", "parameters": '{"FunctionName": "no"}'}},
            "",
        ),
        (
            {"type": "TaskScheduled", "taskScheduledEventDetails":
             {"resourceType": "lambda", "parameters": "not JSON"}},
            "",
        ),
    ],
)  # fmt: skip
def test_the_function_of_a_task(event: dict[str, Any], function: str) -> None:
    assert executions._function(event) == function
