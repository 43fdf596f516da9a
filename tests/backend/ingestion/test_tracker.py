"""What became of a run, read from log lines and executions, in honest words."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.ingestion import dispatch, service, status_check, tracker
from backend.ingestion.errors import AlreadyRunning, CannotStop, StartFailed
from backend.ingestion.observations import Observation
from backend.ingestion.schemas import RunView
from backend.integrations.aws import logs
from backend.integrations.aws.gateway import Execution, Gateway
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN, AddRule

Start = Callable[..., RunView]


class TestLambda:
    def test_a_run_is_seen_running_and_then_succeeded_with_its_lines(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        aws.add_function("f", seconds=600)
        add_rule("exact", URN, "f")
        run = start()
        assert look(run.run_id, "running").status == "running"
        aws.hurry()
        done = look(run.run_id, "succeeded")
        assert (done.status, done.settled, done.active, done.attempts) == (
            "succeeded", True, False, 1,
        )  # fmt: skip
        assert done.log_tail[0].startswith("START RequestId")
        assert "rows written: 1200" in done.log_tail
        assert done.finished_at is not None

    @pytest.mark.parametrize(
        ("outcome", "word"), [("fail", "IngestError"), ("timeout", "Task timed out")]
    )
    def test_a_failed_call_says_why_and_that_lambda_may_try_again(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start, outcome: str, word: str
    ) -> None:
        aws.add_function("f", seconds=0.1, outcome=outcome)  # type: ignore[arg-type]
        add_rule("exact", URN, "f")
        run = look(start().run_id, "failed")
        assert (run.status, run.settled, run.active) == ("failed", False, True)
        assert word in run.detail
        assert "may try again (3 tries" in run.detail

    def test_a_failed_call_keeps_the_dataset_until_lambda_has_no_try_left(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        aws.add_function("f", seconds=0.1, outcome="fail")
        add_rule("exact", URN, "f")
        run = look(start().run_id, "failed")
        with pytest.raises(AlreadyRunning, match=r"\(failed\).* release the dataset"):
            start()
        for number, status in ((2, "failed"), (3, "running")):
            aws.retry("f", str(run.request_id), ends=status == "failed")
            seen = look(run.run_id)
            assert (seen.status, seen.attempts, seen.active) == (status, number, True)
        with pytest.raises(AlreadyRunning):
            start()
        aws.retry("f", str(run.request_id), begins=False)
        over = look(run.run_id)
        assert (over.status, over.settled, over.active) == ("failed", True, False)
        assert len(aws.starts()) == 1

    def test_a_failed_call_that_stays_quiet_lets_the_dataset_go(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=0.1, outcome="fail")
        add_rule("exact", URN, "f")
        run = look(start().run_id, "failed")
        monkeypatch.setattr(status_check, "RETRY_GRACE", timedelta(0))
        over = look(run.run_id)
        assert (over.status, over.settled, over.active) == ("failed", True, False)

    def test_without_a_log_group_the_outcome_is_unknown_and_why(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        age: Callable[..., None],
    ) -> None:  # fmt: skip
        aws.add_function("f", outcome="silent", timeout=60)
        add_rule("exact", URN, "f")
        run = look(start().run_id)
        assert (run.status, run.settled, run.active) == ("unknown", False, True)
        assert "/aws/lambda/f does not exist" in run.detail
        age(run.run_id, minutes=4)
        run = look(run.run_id)
        assert (run.status, run.settled, run.active) == ("unknown", True, False)

    def test_a_lost_answer_is_cleared_by_the_functions_own_log(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        aws.add_function("f", seconds=0.1)
        add_rule("exact", URN, "f")
        with (
            aws.faults.inject(operation="Invoke", invocation="Event", drop="after"),
            pytest.raises(StartFailed) as told,
        ):
            start(idempotency_key="k")
        with pytest.raises(StartFailed):
            start(idempotency_key="k")  # nobody knows yet
        run = look(told.value.run.run_id, "succeeded")
        assert (run.status, run.settled) == ("succeeded", True)
        again = start(idempotency_key="k")  # it was started after all
        assert (again.run_id, again.status, len(aws.starts())) == (run.run_id, "succeeded", 1)

    def test_a_lost_start_that_never_arrived_stays_unknown(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        age: Callable[..., None],
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=0.1)
        add_rule("exact", URN, "f")
        look(start().run_id, "succeeded")
        with (
            aws.faults.inject(operation="Invoke", invocation="Event", drop="before"),
            pytest.raises(StartFailed) as told,
        ):
            start()
        run_id = told.value.run.run_id
        assert "Still looking" in look(run_id).detail
        age(run_id, hours=1)
        run = look(run_id)
        assert (run.status, run.settled, run.active) == ("unknown", True, False)
        assert len(aws.starts()) == 1

    def test_an_unreachable_log_changes_no_status(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        aws.add_function("f", seconds=3_600)
        add_rule("exact", URN, "f")
        run = start()
        with aws.faults.inject(operation="FilterLogEvents", status=500, code="InternalFailure"):
            seen = look(run.run_id)
        assert (seen.status, seen.settled) == ("accepted", False)
        assert "CloudWatch Logs" in seen.detail

    def test_a_log_over_a_page_is_read_to_its_end(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        aws.add_function("f", seconds=600, chatter=1500)
        add_rule("exact", URN, "f")
        run = start()
        assert look(run.run_id, "running").status == "running"
        aws.hurry()
        done = look(run.run_id, "succeeded")
        assert (done.status, done.settled) == ("succeeded", True)
        assert (len(done.log_tail), done.log_tail[-1][:7]) == (200, "REPORT ")

    def test_a_log_too_long_to_be_read_is_said_and_ends_as_unknown(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        age: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(logs, "SEARCH_SECONDS", -1.0)
        aws.add_function("f", seconds=600, timeout=60)
        add_rule("exact", URN, "f")
        run = look(start().run_id, "unknown")
        while "does not exist" in run.detail:  # until the function has logged its start
            age(run.run_id, seconds=3)
            run = look(run.run_id, "unknown")
        assert (run.status, run.settled, run.active) == ("unknown", False, True)
        assert "could not be read to its end" in run.detail
        age(run.run_id, minutes=4)
        assert look(run.run_id).settled

    def test_denied_logs_are_said(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        aws.add_function("f", seconds=3_600)
        add_rule("exact", URN, "f")
        run = start()
        with aws.faults.inject(
            operation="FilterLogEvents", status=400, code="AccessDeniedException"
        ):
            seen = look(run.run_id)
        assert (seen.status, seen.active) == ("unknown", True)
        assert "may not use the log group" in seen.detail

    def test_a_log_that_gives_no_single_events_keeps_no_dataset_for_ever(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        age: Callable[..., None],
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=3_600, timeout=60)
        add_rule("exact", URN, "f")
        run = start()
        with aws.faults.inject(
            operation="FilterLogEvents", status=400, code="InvalidOperationException"
        ):
            seen = look(run.run_id)
            assert (seen.status, seen.settled, seen.active) == ("unknown", False, True)
            assert "was refused (InvalidOperationException" in seen.detail
            age(run.run_id, minutes=4)
            assert (look(run.run_id).status, look(run.run_id).active) == ("unknown", False)


class TestStepFunctions:
    def test_an_execution_is_followed_to_its_end(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        add_rule("exact", URN, aws.add_machine("m", seconds=600))
        run = start()
        assert look(run.run_id).status == "running"
        aws.hurry()
        done = look(run.run_id, "succeeded")
        assert (done.status, done.settled, done.active) == ("succeeded", True, False)

    def test_a_failed_execution_says_its_error_and_cause(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        add_rule("exact", URN, aws.add_machine("m", seconds=0.1, outcome="fail"))
        run = look(start().run_id, "failed")
        assert (run.status, run.settled) == ("failed", True)
        assert "IngestError: the source did not answer" in run.detail

    def test_one_that_is_encrypted_with_a_key_out_of_reach_is_followed_by_its_metadata(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        add_rule("exact", URN, aws.add_machine("m", seconds=600))
        run = start()
        with aws.faults.inject(
            operation="DescribeExecution", status=400, code="KmsAccessDeniedException", times=1
        ):
            assert look(run.run_id).status == "running"

    def test_a_cause_that_no_database_takes_is_kept_all_the_same(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        add_rule("exact", URN, aws.add_machine("m", seconds=600))
        run, now = start(), clock.now()
        ended = Execution("arn", "FAILED", now, now, "E", "no file \udcff\x00.csv")
        monkeypatch.setattr(Gateway, "execution", lambda *_: ended)
        seen = look(run.run_id)
        assert (seen.status, seen.detail[-14:]) == ("failed", "no file ��.csv")

    def test_a_stopped_execution_is_failed_and_says_aborted(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        database: Database, actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        add_rule("exact", URN, aws.add_machine("m", seconds=60))
        run = start()
        service.stop(database, actors.operator, run_id=run.run_id)
        seen = look(run.run_id, "failed")
        assert "ABORTED" in seen.detail
        assert seen.stop_requested_by == actors.operator.name
        assert service.stop(database, actors.admin, run_id=run.run_id) == seen

    def test_a_lambda_call_cannot_be_stopped(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start,
        database: Database, actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=60)
        add_rule("exact", URN, "f")
        run = start()
        with pytest.raises(CannotStop):
            service.stop(database, actors.operator, run_id=run.run_id)
        with pytest.raises(NotPermitted):
            service.stop(database, actors.steward, run_id=run.run_id)

    def test_a_lost_start_is_found_by_its_name(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start
    ) -> None:
        add_rule("exact", URN, aws.add_machine("m", seconds=0.1))
        with (
            aws.faults.inject(operation="StartExecution", drop="after"),
            pytest.raises(StartFailed) as told,
        ):
            start()
        run = look(told.value.run.run_id, "succeeded")
        assert (run.status, len(aws.starts())) == ("succeeded", 1)

    def test_a_lost_start_that_never_arrived_is_failed_once_aws_must_know(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        age: Callable[..., None],
    ) -> None:  # fmt: skip
        add_rule("exact", URN, aws.add_machine("m"))
        with (
            aws.faults.inject(operation="StartExecution", drop="before"),
            pytest.raises(StartFailed) as told,
        ):
            start()
        run_id = told.value.run.run_id
        assert look(run_id).status == "unknown"
        age(run_id, minutes=2)
        run = look(run_id)
        assert (run.status, run.settled, run.active) == ("failed", True, False)
        assert "never arrived" in run.detail

    def test_an_express_execution_without_a_log_ends_as_unknown(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start,
        age: Callable[..., None],
    ) -> None:  # fmt: skip
        add_rule("exact", URN, aws.add_machine("fast", kind="EXPRESS"))
        run = start()
        assert look(run.run_id).status == "accepted"
        age(run.run_id, minutes=8)
        run = look(run.run_id)
        assert (run.status, run.settled) == ("unknown", True)
        assert "this state machine keeps no log" in run.detail


class TestLooking:
    def test_the_sweep_takes_what_is_due_and_pauses_grow(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, database: Database
    ) -> None:
        aws.add_function("f", seconds=60)
        add_rule("exact", URN, "f")
        run = start()
        with database.write() as session:
            later = clock.now() + timedelta(hours=1)
            session.execute(update(IngestionRun).values(next_look_at=later))
        assert tracker.sweep(database) == 0
        pauses = []
        for _ in range(3):
            with database.write() as session:
                session.execute(update(IngestionRun).values(next_look_at=clock.now()))
            assert tracker.sweep(database) == 1
            with database.read() as session:
                row = session.query(IngestionRun).filter_by(run_id=run.run_id).one()
            assert row.next_look_at is not None
            assert row.looked_at is not None
            pauses.append(round((row.next_look_at - row.looked_at).total_seconds()))
        assert pauses == [2, 3, 5]

    def test_two_lookers_do_not_look_at_the_same_time(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=60)
        add_rule("exact", URN, "f")
        run = start()
        inside, go_on = threading.Event(), threading.Event()

        def slow(*_: object) -> Observation:
            inside.set()
            go_on.wait(60)
            return Observation()

        monkeypatch.setattr(status_check, "check", slow)
        first = threading.Thread(target=tracker.check, args=(database, run.run_id))
        first.start()
        assert inside.wait(60)
        assert tracker.check(database, run.run_id) is False
        go_on.set()
        first.join()
        assert tracker.check(database, run.run_id) is True

    def test_a_process_that_died_while_sending_leaves_a_run_that_is_cleared(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start, database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip

        aws.add_function("f", seconds=0.1)
        add_rule("exact", URN, "f")

        def die(*_: object) -> None:
            raise SystemExit

        monkeypatch.setattr(dispatch, "_write_accepted", die)
        with pytest.raises(SystemExit):
            start()
        with database.read() as session:
            [row] = session.query(IngestionRun).all()
        assert (row.status, row.answered, row.active_key is None) == ("unknown", False, False)
        assert look(row.run_id, "succeeded").status == "succeeded"
        assert len(aws.starts()) == 1

    def test_a_viewer_may_watch_and_gets_no_lines(
        self, aws: AwsStandIn, add_rule: AddRule, start: Start, look: Start, database: Database,
        actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=0.1)
        add_rule("exact", URN, "f")
        run = look(start().run_id, "succeeded")
        seen = tracker.watch(database, actors.viewer, run_id=run.run_id)
        assert (seen.status, seen.log_tail, seen.log_group) == ("succeeded", (), None)
        assert "arn:aws" not in json.dumps(seen.document())
