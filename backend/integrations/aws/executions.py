"""One Step Functions execution from inside: its states, and what each step of it did.

The history names events, not steps: a step begins with its `…StateEntered` and ends with its
`…StateExited`; failures between belong to the step that `previousEventId` leads back to. The forms
were recorded from an engine that executes ASL (tests/backend/integrations/aws/recorded).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backend.core.database import storable
from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import STEP_FUNCTIONS, arn_region, function_name

#: Events that are read of one execution; it may have 25,000.
MAX_EVENTS = 5_000
_FAILURES = ("Failed", "TimedOut", "Aborted")


@dataclass(frozen=True)
class State:
    """A state of the definition. following: (name, why), where why is "" for the ordinary way.
    parent: the Parallel or Map state around it, "" at the top."""

    name: str
    kind: str
    following: tuple[tuple[str, str], ...] = ()
    parent: str = ""


@dataclass(frozen=True)
class Step:
    """One pass through a state. status: running, succeeded, failed or cancelled.

    tries: how often its task was begun. error, cause: of its last failure, also one that was
    caught. function: the Lambda function that it called, "" for none.
    """

    state: str
    kind: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    error: str = ""
    cause: str = ""
    function: str = ""
    tries: int = 0


@dataclass(frozen=True)
class History:
    """complete: False when the execution has more events than were read."""

    first: str
    states: tuple[State, ...]
    steps: tuple[Step, ...]
    complete: bool = True


def history(config: AwsConfig, arn: str) -> History:
    """The states and steps of an execution. Raises AwsNotFound, AwsDenied and the like."""
    region = arn_region(arn)
    with clients.calling(config, STEP_FUNCTIONS, subject="the execution", region=region):
        states = clients.client(config, "stepfunctions", region=region)
        machine = states.describe_state_machine_for_execution(executionArn=arn)
        events: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while len(events) < MAX_EVENTS:
            page = states.get_execution_history(executionArn=arn, maxResults=1000, **token)
            events += page.get("events", [])
            if not page.get("nextToken"):
                break
            token = {"nextToken": page["nextToken"]}
    definition = json.loads(machine["definition"])
    return History(
        str(definition.get("StartAt", "")),
        tuple(read_states(definition)),
        read_steps(events),
        len(events) < MAX_EVENTS,
    )


def redrive(config: AwsConfig, arn: str, *, token: str) -> None:
    """Let a failed execution go on from where it failed; once per token.

    Raises OutcomeUnknown when AWS may have taken it and did not say so.
    """
    region = arn_region(arn)
    with clients.calling(
        config,
        STEP_FUNCTIONS,
        subject="the execution",
        region=region,
        starting=True,
        undone="The execution stays as it was.",
    ):
        states = clients.client(config, "stepfunctions", region=region, once=True)
        states.redrive_execution(executionArn=arn, clientToken=token)


def read_states(definition: Mapping[str, Any], parent: str = "") -> Iterator[State]:
    """The states of an ASL definition, those of branches and iterations included."""
    for name, state in (definition.get("States") or {}).items():
        yield State(name, str(state.get("Type", "")), tuple(_following(state)), parent)
        inner = [*(state.get("Branches") or ())]
        inner += [state[key] for key in ("ItemProcessor", "Iterator") if key in state]
        for branch in inner:
            yield from read_states(branch, name)


def _following(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("Next", "Default"):
        if key in state:
            yield str(state[key]), "" if key == "Next" else "otherwise"
    for choice in state.get("Choices") or ():
        if "Next" in choice:
            yield str(choice["Next"]), "choice"
    for catch in state.get("Catch") or ():
        if "Next" in catch:
            yield str(catch["Next"]), "on " + ", ".join(catch.get("ErrorEquals") or ())


def read_steps(events: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """The steps of a history, in the order in which they began."""
    by_id = {event["id"]: event for event in events}
    steps: dict[int, Step] = {}
    for event in events:
        kind = str(event["type"])
        if kind.endswith("StateEntered"):
            name = event["stateEnteredEventDetails"]["name"]
            began = event["timestamp"].astimezone(UTC)
            steps[event["id"]] = Step(name, kind.removesuffix("StateEntered"), "running", began)
        elif kind == "ExecutionRedriven":
            _go_on(steps)
        elif kind.startswith("Execution"):
            _end_all(steps, event)
        else:
            exited = event.get("stateExitedEventDetails", {}).get("name")
            entered = _entered(event, by_id, exited)
            if entered in steps:
                steps[entered] = _told(steps[entered], event, kind)
    return tuple(steps.values())


def _entered(event: Mapping[str, Any], by_id: Mapping[int, Any], name: str | None) -> int:
    """The id of the event with which the step of this one began, 0 when it is not known."""
    found: Any = event
    while found is not None:
        details = found.get("stateEnteredEventDetails")
        if details is not None and name in (None, details["name"]):
            return int(found["id"])
        found = by_id.get(found.get("previousEventId"))
    return 0


def _told(step: Step, event: Mapping[str, Any], kind: str) -> Step:
    """The step with what this event says of it."""
    at = event["timestamp"].astimezone(UTC)
    if kind.endswith("StateExited"):
        return replace(step, status="succeeded", finished_at=at)
    if kind.endswith("StateAborted"):
        return replace(step, status="cancelled", finished_at=at)
    if kind.endswith("Scheduled"):
        return replace(step, tries=step.tries + 1, function=_function(event) or step.function)
    if kind.endswith(_FAILURES):
        details = _details(event)
        error = storable(str(details.get("error") or kind))
        return replace(step, error=error, cause=storable(str(details.get("cause") or "")))
    return step


def _end_all(steps: dict[int, Step], event: Mapping[str, Any]) -> None:
    """The execution ended: what was still open ended with it."""
    kind = str(event["type"])
    ended = {"ExecutionSucceeded": "succeeded", "ExecutionAborted": "cancelled"}
    status = ended.get(kind, "failed" if kind.endswith(_FAILURES) else "")
    if not status:
        return
    at, details = event["timestamp"].astimezone(UTC), _details(event)
    for entered, step in steps.items():
        if step.status != "running":
            continue
        if status == "failed" and not step.error and step.kind == "Fail":
            step = replace(step, error=storable(str(details.get("error") or "")))
            step = replace(step, cause=storable(str(details.get("cause") or "")))
        steps[entered] = replace(step, status=status, finished_at=at)


def _go_on(steps: dict[int, Step]) -> None:
    """A redrive goes on in the steps with which the execution ended, those around them included;
    their events name the same `…StateEntered`."""
    for entered, step in steps.items():
        if step.status in ("failed", "cancelled"):
            steps[entered] = replace(step, status="running", finished_at=None)


def _details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (value for key, value in event.items() if key.endswith("EventDetails"))
    return next(found, {}) or {}


def _function(event: Mapping[str, Any]) -> str:
    """The Lambda function of a scheduled task, by either way of naming one."""
    details = _details(event)
    if event["type"] == "LambdaFunctionScheduled":
        return function_name(str(details.get("resource", "")))
    if details.get("resourceType") != "lambda":
        return ""
    try:
        parameters = json.loads(details.get("parameters") or "{}")
    except ValueError:
        return ""
    return function_name(str(parameters.get("FunctionName", "")))
