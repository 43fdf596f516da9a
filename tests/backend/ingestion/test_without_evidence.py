"""Calls whose end the log shows and whose outcome it does not tell."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from backend.core import clock
from backend.core.database import Database
from backend.ingestion import execution_check, service, status_check, tracker
from backend.ingestion.schemas import RunView
from backend.integrations.aws import logs, metrics
from backend.integrations.aws.logs import CallLog
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN, AddRule
from tests.backend.ingestion.test_tracker import Start


class TestWithoutEvidence:
    """A runtime that leaves no trace of a failure."""

    @pytest.mark.parametrize(("attempts", "settled"), [(1, False), (3, True)])
    def test_is_unknown_and_stays_open_while_a_retry_may_come(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, database: Database,
        attempts: int, settled: bool,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=600)
        add_rule("exact", URN, "f")
        run = start()
        now = clock.now()
        call = CallLog("ended", attempts=attempts, started_at=now, finished_at=now)
        with database.read() as session:
            row = session.scalars(select(IngestionRun).where(IngestionRun.run_id == run.run_id))
            found = status_check._from_lines(row.one(), call)
        assert (found.status, found.settled) == ("unknown", settled)
        assert "its log does not tell whether it succeeded" in found.detail

    @pytest.mark.parametrize(
        ("tries", "errors", "status", "words"),
        [
            (1, 0, "succeeded", "without an error, says its Errors metric"),
            (2, 2, "failed", "with an error, says its Errors metric"),
            (2, 1, "unknown", "The metric of that minute does not tell it either"),
            (0, 0, "unknown", "The metric of that minute does not tell it either"),
        ],
    )
    def test_the_errors_metric_is_the_second_witness(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        monkeypatch: pytest.MonkeyPatch, tries: int, errors: int, status: str, words: str,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(metrics, "COUNTED_AFTER", timedelta(0))
        run = _ended_without_a_trace(aws, add_rule, start)
        _counted(aws, tries, errors)
        found = check(run.run_id)
        assert found.status == status
        assert words in found.detail

    def test_the_metric_is_awaited_before_the_run_is_over(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView]
    ) -> None:
        found = check(_ended_without_a_trace(aws, add_rule, start).run_id)
        assert (found.status, found.settled) == ("unknown", False)

    def test_without_the_right_to_the_metric_it_stays_unknown(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(metrics, "COUNTED_AFTER", timedelta(0))
        run = _ended_without_a_trace(aws, add_rule, start)
        with aws.faults.inject(operation="GetMetricStatistics", status=403, code="AccessDenied"):
            found = check(run.run_id)
        assert found.status == "unknown"
        assert "The metric cannot be read" in found.detail

    @pytest.mark.parametrize(
        ("tries", "errors", "status", "words"),
        [
            (1, 0, "succeeded", "is one that it dealt with"),
            (1, 1, "failed", "Error: no table"),
            (2, 1, "failed", "Error: no table"),
            (0, 0, "failed", "Error: no table"),
        ],
    )
    def test_a_failure_that_the_program_may_have_printed_itself_is_judged_by_the_metric(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        monkeypatch: pytest.MonkeyPatch, tries: int, errors: int, status: str, words: str,
    ) -> None:  # fmt: skip
        run = _printed_last(aws, add_rule, start, monkeypatch)
        early = check(run.run_id)
        assert (early.status, early.settled) == ("failed", False)
        assert "asked in a few minutes" in early.detail
        monkeypatch.setattr(metrics, "COUNTED_AFTER", timedelta(0))
        _counted(aws, tries, errors)
        found = check(run.run_id)
        assert (found.status, found.settled) == (status, True)
        assert words in found.detail

    @pytest.mark.parametrize(("state", "status"), [("ended", "unknown"), ("failed", "failed")])
    def test_a_long_call_that_has_just_ended_is_not_among_those_counted_in_its_minute(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        monkeypatch: pytest.MonkeyPatch, state: str, status: str,
    ) -> None:  # fmt: skip
        begun = clock.now() - timedelta(minutes=10)
        run = _printed_last(
            aws, add_rule, start, monkeypatch, state=state, last_begun_at=begun, started_at=begun
        )
        _counted(aws, 1, 0, begun)  # somebody else's good call
        found = check(run.run_id)
        assert (found.status, found.settled) == (status, False)
        monkeypatch.setattr(metrics, "COUNTED_AFTER", timedelta(0))
        assert check(run.run_id).status == "succeeded"

    ARN = "arn:aws:sqs:us-east-1:123456789012:"

    @pytest.mark.parametrize(
        ("config", "letters", "said"),
        [
            ({}, "", "has no failure destination and no dead-letter target"),
            ({"OnFailure": "lost"}, "", f"elsewhere: its failure destination {ARN}lost."),
            ({"OnSuccess": "good"}, "", f"elsewhere: its success destination {ARN}good."),
            ({}, "dead", f"elsewhere: its dead-letter target {ARN}dead."),
            ({"OnFailure": "lost"}, "dead", f"{ARN}lost; its dead-letter target {ARN}dead."),
        ],
    )
    def test_it_says_where_lambda_leaves_a_record_and_names_it_to_nobody_else(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        database: Database, actors: SimpleNamespace, config: dict[str, str], letters: str,
        said: str,
    ) -> None:  # fmt: skip
        run = _ended_without_a_trace(aws, add_rule, start)
        if config:
            told = {part: {"Destination": self.ARN + name} for part, name in config.items()}
            aws._client("lambda").put_function_event_invoke_config(
                FunctionName="f", DestinationConfig=told
            )
        facts = {"FunctionName": "f", "DeadLetterConfig": {"TargetArn": self.ARN + letters}}
        with aws.faults.inject(
            operation="GetFunctionConfiguration", body=json.dumps(facts if letters else {}).encode()
        ):
            found = check(run.run_id)
        assert found.status == "unknown"
        assert said in found.detail
        with database.read() as session:
            shown = service.get_run(session, actors.viewer, run_id=run.run_id)
        assert self.ARN not in json.dumps(shown.document())

    @pytest.mark.parametrize(
        "operation", ["GetFunctionConfiguration", "GetFunctionEventInvokeConfig"]
    )
    def test_without_the_right_to_ask_for_it_says_so(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        operation: str,
    ) -> None:  # fmt: skip
        run = _ended_without_a_trace(aws, add_rule, start)
        with aws.faults.inject(operation=operation, status=403, code="AccessDeniedException"):
            found = check(run.run_id)
        assert found.status == "unknown"
        assert "Where else its end is recorded cannot be asked for: " in found.detail

    def test_a_synchronous_call_has_no_such_record(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, check: Callable[..., RunView],
        database: Database,
    ) -> None:  # fmt: skip
        run = _ended_without_a_trace(aws, add_rule, start)
        with database.write() as session:
            session.execute(update(IngestionRun).values(invocation="sync"))
        found = check(run.run_id)
        assert (found.status, "failure destination" in found.detail) == ("unknown", False)


class TestExpress:
    """The machine's own log has the outcome; its events in the form that Step Functions writes."""

    @pytest.mark.parametrize(
        ("kinds", "status", "words"),
        [
            (["ExecutionStarted"], "running", ""),
            (["ExecutionStarted", "ExecutionSucceeded"], "succeeded", "ExecutionSucceeded"),
            (["ExecutionFailed"], "failed", "ExecutionFailed. Lost: no table"),
            (["ExecutionTimedOut"], "failed", "ExecutionTimedOut"),
        ],
    )
    def test_the_outcome_is_the_logs(
        self, express: RunView, aws: AwsStandIn, check: Callable[..., RunView],
        kinds: list[str], status: str, words: str,
    ) -> None:  # fmt: skip
        _log(aws, *(_event(kind, express.run_id) for kind in kinds))
        found = check(express.run_id)
        assert (found.status, found.settled) == (status, status != "running")
        assert words in found.detail

    def test_another_execution_that_mentions_the_run_proves_nothing(
        self, express: RunView, aws: AwsStandIn, check: Callable[..., RunView],
        database: Database,
    ) -> None:  # fmt: skip
        other = _event("ExecutionSucceeded", "another", output=express.run_id)
        _log(aws, other, f"not JSON: {express.run_id}")
        assert check(express.run_id).status == "accepted"
        with database.write() as session:
            session.execute(update(IngestionRun).values(sent_at=clock.now() - timedelta(minutes=8)))
        over = check(express.run_id)
        assert (over.status, over.settled) == ("unknown", True)
        assert "Below the level ALL it names failures only" in over.detail

    def test_a_log_that_may_not_be_read(
        self, express: RunView, aws: AwsStandIn, check: Callable[..., RunView],
        database: Database, actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        denied = {"status": 400, "code": "AccessDeniedException"}
        with aws.faults.inject(operation="FilterLogEvents", **denied):  # type: ignore[arg-type]
            found = check(express.run_id)
        assert found.status == "unknown"
        assert "may not use the log group /states/fast" in found.detail
        with database.read() as session:
            shown = service.get_run(session, actors.viewer, run_id=express.run_id)
        assert shown.detail == execution_check.NO_MACHINE_LOG  # names nothing of AWS


@pytest.fixture
def check(database: Database, actors: SimpleNamespace) -> Callable[..., RunView]:
    """One status check of a run, and what it made of it."""

    def go(run_id: str) -> RunView:
        with database.write() as session:
            session.execute(update(IngestionRun).values(next_look_at=clock.now()))
        tracker.check(database, run_id)
        with database.read() as session:
            return service.get_run(session, actors.admin, run_id=run_id)

    return go


@pytest.fixture
def express(add_rule: AddRule, start: Start, aws: AwsStandIn, database: Database) -> RunView:
    add_rule("exact", URN, aws.add_machine("fast", kind="EXPRESS"))
    aws._client("logs").create_log_group(logGroupName="/states/fast")
    aws._client("logs").create_log_stream(logGroupName="/states/fast", logStreamName="s")
    run = start()
    with database.write() as session:
        session.execute(update(IngestionRun).values(log_group="/states/fast"))
    return run


def _event(kind: str, name: str, **details: str) -> str:
    if kind == "ExecutionFailed":
        details = {"error": "Lost", "cause": "no table"}
    return json.dumps(
        {
            "id": "6",
            "type": kind,
            "details": details,
            "previous_event_id": "5",
            "event_timestamp": "1790000000000",
            "execution_arn": f"arn:aws:states:us-east-1:123456789012:express:fast:{name}:0a1b",
        }
    )


def _log(aws: AwsStandIn, *messages: str) -> None:
    now = int(time.time() * 1000)
    aws._client("logs").put_log_events(
        logGroupName="/states/fast",
        logStreamName="s",
        logEvents=[{"timestamp": now + i, "message": m} for i, m in enumerate(messages)],
    )


def _ended_without_a_trace(aws: AwsStandIn, add_rule: AddRule, start: Start) -> RunView:
    """A run of a custom runtime that has ended."""
    aws.add_function("f", outcome="silent", runtime="provided.al2023")
    add_rule("exact", URN, "f")
    run = start()
    aws.retry("f", run.request_id or "")
    return run


def _printed_last(
    aws: AwsStandIn, add_rule: AddRule, start: Start, monkeypatch: pytest.MonkeyPatch,
    **otherwise: object,
) -> RunView:  # fmt: skip
    """A run of a Node function, logged as JSON, whose last print is an error."""
    aws.add_function("f", runtime="nodejs22.x")
    add_rule("exact", URN, "f")
    run, now = start(), clock.now()
    call = CallLog(
        "failed", attempts=3, started_at=now, last_begun_at=now, finished_at=now,
        error="Error: no table", doubtful=True, request_id=run.request_id or "",
    )  # fmt: skip
    call = replace(call, **otherwise)  # type: ignore[arg-type]
    monkeypatch.setattr(logs, "read_call", lambda *_args, **_asked: call)
    return run


def _counted(aws: AwsStandIn, tries: int, errors: int, begun: datetime | None = None) -> None:
    """What Lambda has counted of the function in these minutes; nothing where it was not tried."""
    begun = begun or clock.now()
    for name, count in ({"Invocations": tries, "Errors": errors} if tries else {}).items():
        aws._client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
                    "Timestamp": moment,
                    "Value": count,
                }
                # The log's line may stand in the minute before.
                for moment in (begun, begun - timedelta(minutes=1))
            ],
        )


@pytest.mark.parametrize("target", ["f", "arn:aws:lambda:us-east-1:123456789012:function:f"])
def test_a_log_that_is_not_there_may_be_in_the_account_of_the_function(
    aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start, target: str
) -> None:
    aws.add_function("f", seconds=3_600)
    add_rule("exact", URN, target)
    run = start()
    with aws.faults.inject(
        operation="FilterLogEvents", status=400, code="ResourceNotFoundException"
    ):
        seen = look(run.run_id)
    assert "The log group /aws/lambda/f does not exist" in seen.detail
    elsewhere = "the function is of 123456789012: where that is another one"
    assert (elsewhere in seen.detail) == (target != "f")
