"""Executions that cannot be seen, were deleted, or go on after they had failed."""

import sys
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from backend.cli import common, main
from backend.connections import environments
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotFound, UpstreamError
from backend.ingestion import execution_check, executions, repository, service, tracker, views
from backend.ingestion.errors import AlreadyRunning, CannotRedrive
from backend.ingestion.schemas import RunView
from backend.integrations.aws.executions import History, Step
from backend.integrations.aws.gateway import Execution, Gateway
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.aws.outcome_simulator import Behaviour
from tests.backend.ingestion.conftest import URN, AddRule

DENIED: dict[str, Any] = {"status": 400, "code": "AccessDeniedException"}
THROTTLED: dict[str, Any] = {"status": 400, "code": "ThrottlingException"}

Look = Callable[..., RunView]
Say = Callable[..., None]


@pytest.fixture
def run(aws: AwsStandIn, add_rule: AddRule, start: Callable[..., RunView]) -> RunView:
    add_rule("exact", URN, aws.add_machine("nightly", seconds=600))
    return start()


@pytest.fixture
def look(database: Database, run: RunView, actors: SimpleNamespace) -> Look:
    """One status check, with what it made of the run."""

    def go() -> RunView:
        with database.write() as session:
            session.execute(update(IngestionRun).values(next_look_at=clock.now()))
        tracker.check(database, run.run_id)
        with database.read() as session:
            return service.get_run(session, actors.admin, run_id=run.run_id)

    return go


@pytest.fixture
def aged(database: Database) -> Callable[[timedelta], None]:
    def go(ago: timedelta) -> None:
        then = clock.now() - ago
        with database.write() as session:
            session.execute(update(IngestionRun).values(sent_at=then, created_at=then))

    return go


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Say:
    """says("FAILED", cause="…"): what DescribeExecution answers from now on."""

    def put(status: str, **more: Any) -> None:
        told = Execution("arn", status, clock.now(), more.pop("stopped", None), **more)
        monkeypatch.setattr(Gateway, "execution", lambda _self, _arn: told)

    return put


class TestNotSeen:
    def test_without_the_right_it_is_unknown_and_settles(
        self, aws: AwsStandIn, look: Look, aged: Callable[..., None], start: Callable[..., RunView]
    ) -> None:
        with aws.faults.inject(operation="DescribeExecution", **DENIED):
            seen = look()
            assert (seen.status, seen.settled) == ("unknown", False)
            assert "lacks the right states:DescribeExecution" in seen.detail
            with pytest.raises(AlreadyRunning, match="or release the dataset"):
                start()
            aged(execution_check.UNDESCRIBED + timedelta(seconds=1))
            over = look()
        assert (over.status, over.settled, over.active) == ("unknown", True, False)
        assert start().status == "accepted"

    def test_a_throttled_check_keeps_what_is_known_and_never_says_nothing_was_started(
        self, aws: AwsStandIn, look: Look
    ) -> None:
        known = look()
        with aws.faults.inject(operation="DescribeExecution", **THROTTLED):
            look()
            throttled = look()
        assert throttled.status == known.status == "running"
        assert throttled.detail.startswith(known.detail + tracker.NOTE)
        assert throttled.detail.count(tracker.NOTE) == 1
        assert "Nothing was started" not in throttled.detail
        assert look().detail == known.detail

    def test_a_machine_that_was_deleted_while_it_ran(self, aws: AwsStandIn, look: Look) -> None:
        assert look().started_at is not None
        with aws.faults.inject(
            operation="DescribeExecution", status=400, code="ExecutionDoesNotExist"
        ):
            seen = look()
        assert (seen.status, seen.settled, seen.active) == ("unknown", True, False)
        assert "its state machine may have been deleted" in seen.detail

    def test_a_long_cause_is_cut_with_a_mark(self, look: Look, says: Say) -> None:
        says("FAILED", error="Lambda.Unknown", cause="x" * 32_000, stopped=clock.now())
        seen = look()
        assert seen.detail.endswith("… (cut; 32,016 characters in all)")
        assert len(seen.detail) < execution_check.MAX_CAUSE + 200


class TestRedriven:
    def test_it_is_followed_again_and_holds_its_dataset(
        self, look: Look, says: Say, start: Callable[..., RunView]
    ) -> None:
        says("FAILED", error="Boom", stopped=clock.now())
        failed = look()
        assert (failed.status, failed.settled, failed.active) == ("failed", True, False)
        says("RUNNING", redrives=1)
        with pytest.raises(AlreadyRunning) as refusal:
            start()
        assert (refusal.value.run.run_id, refusal.value.run.status) == (failed.run_id, "running")
        going = look()
        assert (going.status, going.settled, going.active) == ("running", False, True)
        assert (going.finished_at, "redriven once" in going.detail) == (None, True)
        says("SUCCEEDED", redrives=1, stopped=clock.now())
        done = look()
        assert (done.status, done.settled, done.active, done.attempts) == (
            "succeeded", True, False, 2,
        )  # fmt: skip

    def test_the_sweep_finds_it(self, database: Database, look: Look, says: Say) -> None:
        says("FAILED", error="Boom", stopped=clock.now())
        look()
        says("RUNNING", redrives=1)
        assert tracker.sweep(database) == 0  # not yet due
        with database.write() as session:
            session.execute(update(IngestionRun).values(next_look_at=clock.now()))
        assert tracker.sweep(database) == 1
        assert look().status == "running"

    @pytest.mark.parametrize(("days", "hours"), [(0, 1 / 6), (5, 6)])
    def test_the_older_the_failure_the_rarer_the_question(
        self, database: Database, look: Look, says: Say, days: float, hours: float
    ) -> None:
        says("FAILED", error="Boom", stopped=clock.now() - timedelta(days=days))
        seen = look()
        with database.read() as session:
            due = session.scalars(select(IngestionRun.next_look_at)).one()
        assert due is not None
        assert seen.looked_at is not None
        assert due - seen.looked_at == pytest.approx(timedelta(hours=hours), abs=timedelta(0, 60))

    def test_it_waits_behind_every_run_that_goes_on(
        self, database: Database, look: Look, says: Say, start: Callable[..., RunView]
    ) -> None:
        says("FAILED", error="Boom", stopped=clock.now())
        failed = look()
        going = start()
        now = clock.now()
        with database.write() as session:
            for run, late in ((failed, 3600), (going, 0)):
                due = update(IngestionRun).where(IngestionRun.run_id == run.run_id)
                session.execute(due.values(next_look_at=now - timedelta(seconds=late)))
        with database.read() as session:
            assert repository.due_runs(session, now, 2) == [going.run_id, failed.run_id]

    def test_beside_another_run_of_its_dataset_it_stays_as_it_was(
        self, look: Look, says: Say, start: Callable[..., RunView]
    ) -> None:
        says("FAILED", error="Boom", stopped=clock.now())
        look()
        other = start()
        says("RUNNING", redrives=1)
        seen = look()
        assert (seen.status, seen.settled, seen.active) == ("failed", True, False)
        assert "redriven in AWS while another run goes on" in seen.detail
        assert other.active

    def test_after_two_weeks_nobody_asks_any_more(
        self, database: Database, look: Look, says: Say
    ) -> None:
        says("FAILED", error="Boom", stopped=clock.now() - views.REDRIVE)
        look()
        says("RUNNING", redrives=1)
        assert look().status == "failed"


REDRIVE: dict[str, Any] = {"operation": "RedriveExecution"}


class TestRedrive:
    """Asked for in the portal, at the stand-in."""

    @pytest.fixture
    def failed(self, aws: AwsStandIn, add_rule: AddRule, start: Callable[..., RunView]) -> RunView:
        add_rule("exact", URN, aws.add_machine("nightly", seconds=600, outcome="fail"))
        return start()

    @pytest.fixture
    def ended(
        self, failed: RunView, aws: AwsStandIn, database: Database, actors: SimpleNamespace
    ) -> RunView:
        aws._simulator._finish("us-east-1", failed.execution_arn or "", Behaviour(1, "fail"))
        tracker.check(database, failed.run_id)
        return self.seen(database, actors, failed)

    def seen(self, database: Database, actors: SimpleNamespace, run: RunView) -> RunView:
        with database.read() as session:
            return service.get_run(session, actors.admin, run_id=run.run_id)

    def test_it_goes_on_and_holds_its_dataset(
        self, ended: RunView, database: Database, actors: SimpleNamespace, aws: AwsStandIn,
        start: Callable[..., RunView],
    ) -> None:  # fmt: skip
        assert (ended.status, ended.can_redrive, ended.active) == ("failed", True, False)
        run = executions.redrive(database, actors.operator, run_id=ended.run_id)
        assert (run.status, run.settled, run.active) == ("running", False, True)
        with pytest.raises(AlreadyRunning):
            start()
        with pytest.raises(CannotRedrive):
            executions.redrive(database, actors.operator, run_id=ended.run_id)
        aws._simulator._finish("us-east-1", ended.execution_arn or "", Behaviour(1, "succeed"))
        with database.write() as session:
            session.execute(update(IngestionRun).values(next_look_at=clock.now()))
        tracker.check(database, ended.run_id)
        done = self.seen(database, actors, ended)
        assert (done.status, done.active, done.can_redrive) == ("succeeded", False, False)

    def test_the_environments_old_name_may_have_gone_to_another_account(
        self, ended: RunView, database: Database, actors: SimpleNamespace
    ) -> None:
        with database.write() as session:
            environments.update(session, SYSTEM, name="dev", version=1, new_name="dev-eu")
            environments.add(session, SYSTEM, name="dev")
        run = executions.redrive(database, actors.operator, run_id=ended.run_id)
        assert run.status == "running"
        steps = executions.history(database, actors.admin, run_id=ended.run_id).steps
        assert steps
        with database.write() as session:
            environments.remove(session, SYSTEM, name="dev-eu", confirm_name="dev-eu")
        with pytest.raises(NotFound, match="The environment was deleted"):
            executions.history(database, actors.admin, run_id=ended.run_id)

    def test_a_status_that_lags_behind_changes_nothing(
        self, ended: RunView, database: Database, actors: SimpleNamespace, says: Say
    ) -> None:
        executions.redrive(database, actors.operator, run_id=ended.run_id)
        says("FAILED", error="Boom", stopped=ended.finished_at)
        with database.write() as session:
            session.execute(update(IngestionRun).values(next_look_at=clock.now()))
        tracker.check(database, ended.run_id)
        run = self.seen(database, actors, ended)
        assert (run.status, run.active) == ("running", True)

    @pytest.mark.parametrize(
        ("fault", "status", "active"), [(DENIED, "failed", False), (THROTTLED, "failed", False),
                                        ({"drop": "before"}, "unknown", True)],
    )  # fmt: skip
    def test_what_aws_did_not_take_leaves_the_run_as_it_was(
        self, ended: RunView, database: Database, actors: SimpleNamespace, aws: AwsStandIn,
        fault: dict[str, Any], status: str, active: bool,
    ) -> None:  # fmt: skip
        with aws.faults.inject(**REDRIVE, **fault), pytest.raises(UpstreamError):
            executions.redrive(database, actors.operator, run_id=ended.run_id)
        run = self.seen(database, actors, ended)
        assert (run.status, run.active) == (status, active)

    def test_another_run_has_the_dataset(
        self, ended: RunView, database: Database, actors: SimpleNamespace,
        start: Callable[..., RunView],
    ) -> None:  # fmt: skip
        other = start()
        with pytest.raises(AlreadyRunning) as refusal:
            executions.redrive(database, actors.operator, run_id=ended.run_id)
        assert refusal.value.run.run_id == other.run_id

    def test_a_run_that_goes_well_cannot_be(
        self, failed: RunView, database: Database, actors: SimpleNamespace
    ) -> None:
        with pytest.raises(CannotRedrive, match="cannot be redriven"):
            executions.redrive(database, actors.operator, run_id=failed.run_id)

    def test_its_steps_over_rest_and_command_line(
        self, ended: RunView, client: TestClient, token: Callable[[str], dict[str, str]],
        database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        address = f"/api/ingestion/runs/{ended.run_id}/steps"
        told = client.get(address, headers=token("operator")).json()
        assert [(step["state"], step["status"]) for step in told["steps"]] == [
            ("Ingest", "succeeded"), ("Not loaded", "failed"),
        ]  # fmt: skip
        assert told["steps"][0]["error"] == "IngestError"
        assert {state["name"] for state in told["states"]} == {"Ingest", "Loaded", "Not loaded"}
        assert client.get(f"{address}/0/log", headers=token("admin")).status_code == 404
        common.database.cache_clear()
        monkeypatch.setattr(sys, "argv", ["backend", "ingest", "show", ended.run_id])
        capsys.readouterr()
        assert main.main() == 0
        assert "Not loaded" in capsys.readouterr().out


def test_the_log_of_a_steps_function(
    run: RunView, aws: AwsStandIn, database: Database, actors: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    step = Step("Load", "Task", "succeeded", clock.now(), clock.now(), function="loader")
    told = History("Load", (), (step,))
    monkeypatch.setattr(executions.executions, "history", lambda *_: told)
    aws._simulator._write("loader", "us-east-1", "s", ["rows read: 5", "rows written: 5"])
    lines = executions.task_log(database, actors.operator, run_id=run.run_id, step=0)
    assert lines == ("rows read: 5", "rows written: 5")
