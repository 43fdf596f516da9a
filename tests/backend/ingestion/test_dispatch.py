"""A sender that is slow or dies: nothing is sent behind the follow-up's back."""

import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.database import Database
from backend.ingestion import aws as target_facts
from backend.ingestion import dispatch, runs, service, tracker
from backend.ingestion.errors import StartFailed
from backend.ingestion.schemas import RunView
from backend.integrations.aws.gateway import Accepted
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN, AddRule

Start = Callable[..., RunView]


@pytest.fixture
def target(aws: AwsStandIn, add_rule: AddRule, request: pytest.FixtureRequest) -> str:
    """A Lambda function or a state machine that URN is mapped to."""
    name = "m" if request.param == "stepfunctions" else "f"
    arn = aws.add_machine(name, seconds=600) if name == "m" else aws.add_function(name, seconds=600)
    add_rule("exact", URN, arn)
    return str(request.param)


both = pytest.mark.parametrize("target", ["stepfunctions", "lambda"], indirect=True)


@pytest.fixture
def overdue(database: Database) -> Callable[[], None]:
    """The one run was written more than a minute ago and is swept."""

    def go() -> None:
        then = clock.now() - timedelta(seconds=dispatch.SENDING_SECONDS + 10)
        with database.write() as session:
            session.execute(update(IngestionRun).values(sent_at=then, next_look_at=then))
        assert tracker.sweep(database) == 1

    return go


def _only(database: Database, actors: SimpleNamespace) -> RunView:
    with database.read() as session:
        [run] = service.list_runs(session, actors.admin).items
    return run


@both
def test_a_sender_that_the_follow_up_gave_up_sends_nothing_any_more(
    database: Database, aws: AwsStandIn, actors: SimpleNamespace, start: Start, target: str,
    overdue: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real = target_facts.facts
    inside, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        inside.set()
        assert go_on.wait(60)
        return real(*arguments, **options)

    monkeypatch.setattr(target_facts, "facts", slow)
    told: list[BaseException] = []

    def send() -> None:
        try:
            start()
        except StartFailed as exc:
            told.append(exc)

    sender = threading.Thread(target=send)
    sender.start()
    assert inside.wait(60)
    overdue()
    go_on.set()
    sender.join()
    assert aws.starts() == []
    [refusal] = told
    assert "longer than 60 seconds" in str(refusal)
    run = _only(database, actors)
    assert (run.status, run.settled, run.active) == ("failed", True, False)
    assert start().status == "accepted"
    assert len(aws.starts()) == 1


@both
def test_the_minute_in_which_an_answer_is_awaited_begins_when_it_is_sent(
    database: Database, start: Start, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    real = dispatch._call

    def call(*arguments: Any) -> Accepted:
        with database.read() as session:
            row = session.query(IngestionRun).one()
            assert row.sent_at is not None
            assert row.next_look_at is not None
            seen.append(row.sent_at > row.created_at)
            seen.append(
                (row.next_look_at - row.sent_at).total_seconds() == dispatch.SENDING_SECONDS
            )
            seen.append(bool(row.region))  # what a follow-up needs is there before the call
        return real(*arguments)

    monkeypatch.setattr(dispatch, "_call", call)
    start()
    assert seen == [True, True, True]


@pytest.mark.parametrize("target", ["stepfunctions"], indirect=True)
def test_an_acceptance_that_comes_after_the_follow_up_gave_up_is_followed(
    database: Database, aws: AwsStandIn, actors: SimpleNamespace, start: Start, target: str,
    overdue: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real = dispatch._call

    def asleep(*arguments: Any) -> Accepted:
        overdue()
        return real(*arguments)

    monkeypatch.setattr(dispatch, "_call", asleep)
    start()
    run = _only(database, actors)
    assert (run.status, run.settled, run.can_stop) == ("accepted", False, True)
    tracker.check(database, run.run_id)
    assert _only(database, actors).status == "running"


@pytest.fixture
def died(start: Start, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """died(key, after=…): a process that ends just before, or just after, AWS is called."""

    def go(key: str, *, after: bool) -> None:
        def die(*_: object) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(dispatch, "_write_accepted" if after else "_call", die)
            with pytest.raises(SystemExit):
                start(idempotency_key=key)

    return go


@both
def test_a_key_whose_sender_died_unsent_never_says_started(
    database: Database, aws: AwsStandIn, start: Start, target: str, actors: SimpleNamespace,
    died: Callable[..., None], overdue: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(runs, "REPLAY_SECONDS", 0.2)
    died("k", after=False)
    with pytest.raises(StartFailed, match="no answer yet") as told:
        start(idempotency_key="k")
    assert (told.value.status, told.value.run.status) == (504, "unknown")
    overdue()
    with pytest.raises(StartFailed) as told:
        start(idempotency_key="k")
    known = "failed" if target == "stepfunctions" else "unknown"
    assert (told.value.status, told.value.run.status) == (504, known)
    assert aws.starts() == []


@both
def test_a_key_whose_sender_died_after_aws_accepted_is_cleared_and_sent_once(
    database: Database, aws: AwsStandIn, start: Start, target: str, actors: SimpleNamespace,
    died: Callable[..., None], overdue: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(runs, "REPLAY_SECONDS", 0.2)
    died("k", after=True)
    with pytest.raises(StartFailed):
        start(idempotency_key="k")
    overdue()
    again = start(idempotency_key="k")
    assert (again.status, len(aws.starts())) == ("running", 1)
    assert again.run_id == _only(database, actors).run_id
