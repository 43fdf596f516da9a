"""Rules with `invocation: sync`: sent once by the worker, settled by the function's own answer."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput, OutcomeUnknown, PortalError
from backend.ingestion import documents, held, mapping, service, tracker
from backend.ingestion.errors import AlreadyRunning
from backend.ingestion.schemas import RunView
from backend.integrations.aws.called import Called
from backend.integrations.aws.errors import AwsThrottled
from backend.integrations.aws.gateway import Gateway
from backend.jobs import broker
from backend.models.ingestion import IngestionRun
from backend.models.jobs import Job
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import OTHER, URN

Answer = Callable[..., list[tuple[str, float]]]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are run by the tests themselves."""
    monkeypatch.setattr(broker, "send", lambda *_: None)


@pytest.fixture
def run(
    database: Database, environment: str, aws: AwsStandIn, start: Callable[..., RunView]
) -> RunView:
    """A run whose function is to be held, before the worker has taken it."""
    aws.add_function("f", seconds=3_600, timeout=60)
    with database.write() as session:
        mapping.put(session, SYSTEM, kind="exact", pattern=URN, target="f", invocation="sync")
    return start()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """answers(Called(…)) or answers(error): what the call gives; the calls made are listed."""

    def put(given: Called | PortalError) -> list[tuple[str, float]]:
        made: list[tuple[str, float]] = []

        def call(_self: Gateway, name: str, _payload: bytes, *, seconds: float) -> Called:
            made.append((name, seconds))
            if isinstance(given, PortalError):
                raise given
            return given

        monkeypatch.setattr(Gateway, "call_lambda", call)
        return made

    return put


def _seen(database: Database, run: RunView, actors: SimpleNamespace) -> RunView:
    with database.read() as session:
        return service.get_run(session, actors.admin, run_id=run.run_id)


def test_it_is_handed_to_the_worker_and_keeps_its_dataset(
    database: Database, run: RunView, aws: AwsStandIn, start: Callable[..., RunView]
) -> None:
    assert (run.status, run.invocation, run.active) == ("accepted", "sync", True)
    assert run.detail == held.HANDED_OVER
    with database.read() as session:
        [job] = session.scalars(select(Job))
    assert (job.kind, job.arguments, job.resumable) == (held.KIND, {"run_id": run.run_id}, False)
    assert aws.starts() == []
    with pytest.raises(AlreadyRunning):
        start()


def test_its_answer_settles_it_and_it_is_called_once(
    database: Database, run: RunView, answers: Answer, actors: SimpleNamespace
) -> None:
    made = answers(Called("r-1", False, "", "START RequestId: r-1\nrows: 7\n"))
    assert held.hold(database, run_id=run.run_id)["status"] == "succeeded"
    assert held.hold(database, run_id=run.run_id) == {"run_id": run.run_id, "sent": False}
    assert made == [("f", 60 + held.SPARE_SECONDS)]
    seen = _seen(database, run, actors)
    assert (seen.status, seen.settled, seen.active, seen.attempts) == ("succeeded", True, False, 1)
    assert (seen.request_id, seen.log_tail[-1]) == ("r-1", "rows: 7")


def test_a_failure_says_the_functions_own_words(
    database: Database, run: RunView, answers: Answer, actors: SimpleNamespace
) -> None:
    answers(Called("r-1", True, "errorString: no such key"))
    held.hold(database, run_id=run.run_id)
    seen = _seen(database, run, actors)
    assert (seen.status, seen.settled, seen.active) == ("failed", True, False)
    assert seen.detail == "The function ended with an error. errorString: no such key"
    with database.read() as session:
        assert (
            "no such key" not in service.get_run(session, actors.viewer, run_id=run.run_id).detail
        )


def test_a_good_answer_is_shown_to_who_may_read_the_mapping(
    database: Database, run: RunView, answers: Answer, actors: SimpleNamespace
) -> None:
    answers(Called("r-1", False, answer='{"status": "failed"}'))
    held.hold(database, run_id=run.run_id)
    seen = _seen(database, run, actors)
    assert (seen.status, seen.detail) == (
        "succeeded", 'The function succeeded. It answered {"status": "failed"}',
    )  # fmt: skip
    with database.read() as session:
        shown = service.get_run(session, actors.viewer, run_id=run.run_id)
    assert shown.detail == "The function succeeded."


def test_what_no_database_takes_loses_no_outcome(
    database: Database, run: RunView, answers: Answer, actors: SimpleNamespace
) -> None:
    answers(Called("r-1", True, "OSError: no file \udcff.csv", "START\nrow 1: \x00\udcff\n"))
    held.hold(database, run_id=run.run_id)
    seen = _seen(database, run, actors)
    assert (seen.status, seen.log_tail[-1]) == ("failed", "row 1: ��")
    assert seen.detail.endswith("OSError: no file �.csv")


def test_a_refused_call_failed_and_lets_the_dataset_go(
    database: Database, run: RunView, answers: Answer, actors: SimpleNamespace
) -> None:
    answers(AwsThrottled("AWS Lambda", "the rate limit", "Nothing was started."))
    held.hold(database, run_id=run.run_id)
    seen = _seen(database, run, actors)
    assert (seen.status, seen.started_at, seen.active) == ("failed", None, False)


def test_a_broken_connection_is_unknown_and_its_log_is_looked_at(
    database: Database, run: RunView, answers: Answer, actors: SimpleNamespace
) -> None:
    answers(OutcomeUnknown("AWS Lambda", "the connection broke", "It is not sent again."))
    held.hold(database, run_id=run.run_id)
    seen = _seen(database, run, actors)
    assert (seen.status, seen.settled, seen.active) == ("unknown", False, True)
    assert "may have run to its end" in seen.detail
    tracker.check(database, run.run_id)
    looked = _seen(database, run, actors)
    assert (looked.status, looked.settled) == ("unknown", False)
    assert "log" in looked.detail


def test_while_the_worker_holds_it_nobody_else_judges_it(
    database: Database, run: RunView, monkeypatch: pytest.MonkeyPatch, actors: SimpleNamespace
) -> None:
    during: list[RunView] = []

    def call(*_args: object, **_more: object) -> Called:
        with database.write() as session:
            session.execute(update(IngestionRun).values(looked_at=None))
        tracker.sweep(database)
        during.append(tracker.watch(database, actors.admin, run_id=run.run_id))
        return Called("r-1", False)

    monkeypatch.setattr(Gateway, "call_lambda", call)
    held.hold(database, run_id=run.run_id)
    assert (during[0].status, during[0].detail) == ("running", held.HOLDING)


def test_a_worker_that_died_leaves_a_run_that_is_looked_for(
    database: Database, run: RunView, monkeypatch: pytest.MonkeyPatch, actors: SimpleNamespace
) -> None:
    def die(*_args: object, **_more: object) -> Called:
        raise SystemExit

    monkeypatch.setattr(Gateway, "call_lambda", die)
    with pytest.raises(SystemExit):
        held.hold(database, run_id=run.run_id)
    assert held.hold(database, run_id=run.run_id)["sent"] is False
    with database.write() as session:
        session.execute(update(IngestionRun).values(next_look_at=clock.now()))
    assert tracker.sweep(database) == 1
    assert _seen(database, run, actors).status == "unknown"


class TestRules:
    def test_documents_carry_it_there_and_back(self) -> None:
        sync = {"name": "f", "invocation": "sync"}
        text = json.dumps({"exact": {URN: sync, OTHER: "g"}})
        rules = documents.parse_json(text, "portal")
        assert [rule.invocation for rule in rules] == ["sync", "async"]
        assert documents.parse_yaml(documents.to_yaml(rules), "portal") == rules

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ('{"name": "f", "invocation": "later"}', "'later' is no invocation"),
            ('{"name": "arn:aws:states:eu-west-1:123456789012:stateMachine:m", '
             '"invocation": "sync"}', "Only a Lambda function"),
        ],
    )  # fmt: skip
    def test_what_it_cannot_be(self, entry: str, said: str) -> None:
        with pytest.raises(InvalidInput, match=said):
            documents.parse_json(f'{{"{URN}": {entry}}}', "file")
