"""Executions that cannot be seen, were deleted, or go on after they had failed."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.database import Database
from backend.ingestion import service, status_check, tracker
from backend.ingestion.errors import AlreadyRunning
from backend.ingestion.schemas import RunView
from backend.integrations.aws.gateway import Execution, Gateway
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
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
            aged(status_check.UNDESCRIBED + timedelta(seconds=1))
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
        assert len(seen.detail) < status_check.MAX_CAUSE + 200


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
        says("FAILED", error="Boom", stopped=clock.now() - tracker.REDRIVE)
        look()
        says("RUNNING", redrives=1)
        assert look().status == "failed"
