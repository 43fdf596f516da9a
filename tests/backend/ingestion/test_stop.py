"""Stopping an execution: who asked, and what AWS made of it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import UpstreamError
from backend.ingestion import service, tracker
from backend.ingestion.schemas import RunView
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN, AddRule

DENIED: dict[str, Any] = {"status": 400, "code": "AccessDeniedException"}
LOST: dict[str, Any] = {"drop": "before"}
STOPPED = ("ingestion:run:stop", "outcome")


@pytest.fixture
def run(aws: AwsStandIn, add_rule: AddRule, start: Callable[..., RunView]) -> RunView:
    add_rule("exact", URN, aws.add_machine("nightly", seconds=600))
    return start()


@pytest.fixture
def refused(
    database: Database, aws: AwsStandIn, run: RunView, actors: SimpleNamespace
) -> Callable[..., None]:
    """refused(DENIED): a click on Stop that AWS answers so."""

    def go(fault: dict[str, Any], who: str = "operator") -> None:
        with (
            aws.faults.inject(operation="StopExecution", **fault),
            pytest.raises(UpstreamError),
        ):
            service.stop(database, getattr(actors, who), run_id=run.run_id)

    return go


def _outcomes(database: Database) -> list[str]:
    with database.read() as session:
        events = session.scalars(select(AuditEvent).order_by(AuditEvent.number))
        return [e.outcome for e in events if (e.action, e.phase) == STOPPED]


def _aborted(database: Database, aws: AwsStandIn, run: RunView, actors: SimpleNamespace) -> RunView:
    """Somebody ends the execution in AWS's console, and the run is looked at."""
    aws._client("stepfunctions").stop_execution(executionArn=run.execution_arn)
    tracker.check(database, run.run_id)
    with database.read() as session:
        return service.get_run(session, actors.admin, run_id=run.run_id)


def test_a_refused_stop_is_audited_and_bears_no_name_when_somebody_else_ends_the_run(
    database: Database, aws: AwsStandIn, run: RunView, actors: SimpleNamespace,
    refused: Callable[..., None],
) -> None:  # fmt: skip
    refused(DENIED)
    assert _outcomes(database) == ["failed"]
    seen = _aborted(database, aws, run, actors)
    assert (seen.status, seen.stop_requested_by) == ("failed", None)
    assert "asked for it" not in seen.detail


def test_a_stop_that_aws_took_is_sent_once_and_keeps_its_name(
    database: Database, aws: AwsStandIn, run: RunView, actors: SimpleNamespace
) -> None:
    first = service.stop(database, actors.operator, run_id=run.run_id)
    assert "asked for a stop, and Step Functions took it" in first.detail
    assert (first.document()["stopRequestedBy"], first.can_stop) == (actors.operator.name, False)
    with aws.faults.inject(operation="StopExecution", **DENIED):  # would be seen if it were sent
        again = service.stop(database, actors.admin, run_id=run.run_id)
    assert again.stop_requested_by == actors.operator.name
    assert _outcomes(database) == ["accepted"]


def test_a_throttled_stop_says_that_the_execution_goes_on(
    database: Database, aws: AwsStandIn, run: RunView, actors: SimpleNamespace
) -> None:
    with (
        aws.faults.inject(operation="StopExecution", status=400, code="ThrottlingException"),
        pytest.raises(UpstreamError, match="The execution goes on") as refusal,
    ):
        service.stop(database, actors.operator, run_id=run.run_id)
    assert "Nothing was started" not in refusal.value.message


def test_a_stop_whose_answer_was_lost_is_unknown_and_keeps_the_name(
    database: Database, run: RunView, actors: SimpleNamespace, refused: Callable[..., None]
) -> None:
    refused(LOST)
    with database.read() as session:
        seen = service.get_run(session, actors.admin, run_id=run.run_id)
    assert (seen.stop_requested_by, seen.settled) == (actors.operator.name, False)
    assert (seen.can_stop, "is not known" in seen.detail) == (True, True)
    assert _outcomes(database) == ["unknown"]
