"""A run of a durable function: its execution tells, never the end of one of its calls."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import OutcomeUnknown
from backend.ingestion import service, tracker
from backend.ingestion.errors import StartFailed
from backend.ingestion.schemas import RunView
from backend.integrations.aws import durable, gateway
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsDenied, AwsNotFound
from backend.integrations.aws.gateway import Accepted, Execution, Gateway
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN, AddRule

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/n-1/0a1b"


@pytest.fixture
def f(aws: AwsStandIn, add_rule: AddRule, monkeypatch: pytest.MonkeyPatch) -> None:
    """A durable function whose first call ends at once."""
    aws.add_function("f", seconds=0.0, timeout=60)
    add_rule("exact", URN, "f")
    monkeypatch.setattr(Gateway, "runtime", lambda *_: gateway.DURABLE)


@pytest.fixture
def run(f: None, start: Callable[..., RunView], monkeypatch: pytest.MonkeyPatch) -> RunView:
    send = Gateway.start_lambda

    def named(self: Gateway, name: str, payload: bytes) -> Accepted:
        return Accepted(send(self, name, payload).request_id, ARN)

    monkeypatch.setattr(Gateway, "start_lambda", named)
    return start()


@pytest.fixture
def look(
    database: Database, run: RunView, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunView]:
    """look(Execution(…) or an error, minutes=…): what one status check makes of it by then."""

    def go(told: Execution | Exception, *, minutes: float = 0) -> RunView:
        def execution(_config: AwsConfig, arn: str) -> Execution:
            assert arn == ARN
            if isinstance(told, Exception):
                raise told
            return told

        monkeypatch.setattr(durable, "execution", execution)
        return _look(database, run.run_id, minutes)

    return go


def _look(database: Database, run_id: str, minutes: float = 0) -> RunView:
    now = clock.now()
    with database.write() as session:
        sent = now - timedelta(minutes=minutes)
        session.execute(update(IngestionRun).values(next_look_at=now, sent_at=sent))
    tracker.check(database, run_id)
    with database.read() as session:
        return service.get_run(session, SYSTEM, run_id=run_id)


def _told(status: str, error: str = "", cause: str = "") -> Execution:
    now = clock.now()
    return Execution(ARN, status, now, None if status == "RUNNING" else now, error, cause)


@pytest.mark.parametrize(
    ("told", "status", "settled"),
    [
        ("RUNNING", "running", False), ("SUCCEEDED", "succeeded", True), ("FAILED", "failed", True),
        ("TIMED_OUT", "failed", True), ("STOPPED", "failed", True), ("NEW_WORD", "unknown", False),
    ],
)  # fmt: skip
def test_its_status_is_the_executions(
    look: Callable[..., RunView], told: str, status: str, settled: bool
) -> None:
    seen = look(_told(told, "E", "why"))
    assert (seen.status, seen.settled, seen.active) == (status, settled, not settled)
    assert seen.detail.startswith(f"Lambda says {told} of the durable execution. E: why")
    assert seen.execution_arn == ARN


@pytest.mark.parametrize(("invocation", "settled"), [("sync", True), ("async", False)])
def test_a_held_one_that_was_lost_keeps_its_dataset_no_longer_than_it_can_be_held(
    run: RunView, database: Database, invocation: str, settled: bool
) -> None:
    with database.write() as session:
        lost = update(IngestionRun).values(
            status="unknown", execution_arn="", invocation=invocation, timeout_seconds=86_400
        )
        session.execute(lost)
    assert _look(database, run.run_id, minutes=20).settled is settled


def test_one_that_is_not_shown_yet_is_asked_for_again(look: Callable[..., RunView]) -> None:
    missing = AwsNotFound("AWS Lambda", "no such", "Look.")
    assert (look(missing).status, look(missing).settled) == ("accepted", False)
    assert look(_told("RUNNING")).status == "running"
    seen = look(missing)
    assert (seen.status, seen.settled) == ("unknown", True)


def test_without_the_right_to_it_nothing_is_read_out_of_the_log(
    look: Callable[..., RunView],
) -> None:
    denied = AwsDenied("AWS Lambda", "may not", "Ask.")
    seen = look(denied)
    assert (seen.status, seen.settled) == ("unknown", False)
    assert "the right lambda:GetDurableExecution" in seen.detail
    assert look(denied, minutes=5).settled


def test_a_lost_start_is_no_success_because_a_call_of_it_ended(
    f: None, start: Callable[..., RunView], database: Database, aws: AwsStandIn
) -> None:
    with (
        aws.faults.inject(operation="Invoke", invocation="Event", drop="after"),
        pytest.raises(StartFailed) as told,
    ):
        start()
    assert told.value.status == OutcomeUnknown.status
    aws.hurry()
    seen = _look(database, told.value.run.run_id)
    assert (seen.status, seen.settled) == ("unknown", False)
    assert "The function is a durable one" in seen.detail
