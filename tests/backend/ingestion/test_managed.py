"""Sources that DataHub runs itself: asked for once, followed to their end, told as DataHub says."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import Conflict, NotFound, NotPermitted, UpstreamUnavailable
from backend.ingestion import managed
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.sandbox.datahub import StandIn

Queue = Callable[[], int]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are run by the tests themselves."""
    monkeypatch.setattr(broker, "send", lambda *_: None)
    monkeypatch.setattr(managed, "PAUSES", (0.3,))


@pytest.fixture
def source(datahub: StandIn) -> str:
    return datahub.seed_ingestion_source("Athena hourly", "athena")


@pytest.fixture
def queued(database: Database, source: str, actors: SimpleNamespace) -> Queue:
    def go() -> int:
        return managed.run_source(database, actors.operator, source_urn=source)

    return go


def _lines(database: Database, job_id: int) -> str:
    with database.read() as session:
        return "\n".join(line.line for line in jobs.lines(session, SYSTEM, job_id=job_id))


def _wait_for(database: Database, job_id: int, words: str) -> None:
    deadline = time.monotonic() + 60
    while words not in _lines(database, job_id):
        assert time.monotonic() < deadline, _lines(database, job_id)
        time.sleep(0.05)


def _outcomes(database: Database) -> list[str]:
    with database.read() as session:
        events = session.scalars(select(AuditEvent).order_by(AuditEvent.number))
        return [e.outcome for e in events if (e.action, e.phase) == (managed.ACTION, "outcome")]


class TestManaged:
    def test_a_source_is_listed_run_and_followed_to_its_end(
        self, database: Database, datahub: StandIn, actors: SimpleNamespace
    ) -> None:
        source = datahub.seed_ingestion_source("Athena hourly", "athena")
        [listed] = managed.list_sources(database, actors.viewer).items
        assert (listed.urn, listed.name, listed.type) == (source, "Athena hourly", "athena")
        job_id = managed.run_source(database, actors.operator, source_urn=source)
        runner.run(job_id, database)
        with database.read() as session:
            job = jobs.get(session, SYSTEM, job_id=job_id)
        assert _outcomes(database) == ["succeeded"]
        assert (job.state, job.result and job.result["outcome"]) == ("succeeded", "succeeded")
        assert "DataHub took the request" in _lines(database, job_id)
        [listed] = managed.list_sources(database, actors.viewer).items
        assert listed.last_request_urn == (job.result or {})["execution_request"]

    def test_two_clicks_make_one_run(
        self, database: Database, datahub: StandIn, actors: SimpleNamespace
    ) -> None:
        source = datahub.seed_ingestion_source("Athena hourly", "athena")
        managed.run_source(database, actors.operator, source_urn=source)
        with pytest.raises(Conflict, match="does this already"):
            managed.run_source(database, actors.operator, source_urn=source)

    def test_a_steward_may_look_and_not_run(
        self, database: Database, datahub: StandIn, actors: SimpleNamespace
    ) -> None:
        with pytest.raises(NotPermitted):
            managed.run_source(database, actors.steward, source_urn="any")

    def test_a_source_that_datahub_has_not_is_refused_at_once(
        self, database: Database, datahub: StandIn, actors: SimpleNamespace
    ) -> None:
        with pytest.raises(NotFound, match="no ingestion source urn:li:dataHubIngestionSource:x"):
            managed.run_source(
                database, actors.operator, source_urn="urn:li:dataHubIngestionSource:x"
            )

    def test_one_that_changes_before_its_job_begins_is_not_run(
        self, database: Database, datahub: StandIn, queued: Queue, actors: SimpleNamespace
    ) -> None:
        job_id = queued()
        datahub.seed_ingestion_source("Athena hourly", "athena", recipe='{"source":{}}')
        runner.run(job_id, database)
        with database.read() as session:
            job = jobs.get(session, SYSTEM, job_id=job_id)
        assert (job.state, "changed in DataHub after" in (job.error or "")) == ("failed", True)
        assert _outcomes(database) == ["failed"]
        [listed] = managed.list_sources(database, actors.viewer).items
        assert listed.last_request_urn is None

    @pytest.mark.parametrize("word", ["FAILURE", "TIMEOUT"])
    def test_a_run_that_datahub_calls_failed_is_a_failed_job(
        self, database: Database, datahub: StandIn, source: str, queued: Queue, word: str
    ) -> None:
        datahub.executor.outcomes[source] = word
        job_id = queued()
        runner.run(job_id, database)
        with database.read() as session:
            job = jobs.get(session, SYSTEM, job_id=job_id)
        assert (job.state, job.result and job.result["status"]) == ("failed", word)
        assert f"DataHub says {word}" in (job.error or "")
        assert _outcomes(database) == ["failed"]

    def test_a_run_whose_end_is_never_told_is_no_success(
        self, database: Database, datahub: StandIn, queued: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        datahub.executor.seconds = 600
        monkeypatch.setattr(managed, "GIVE_UP_SECONDS", 1)
        job_id = queued()
        runner.run(job_id, database)
        with database.read() as session:
            job = jobs.get(session, SYSTEM, job_id=job_id)
        assert (job.state, "Look there before" in (job.error or "")) == ("failed", True)
        assert _outcomes(database) == ["unknown"]

    def test_looks_that_fail_do_not_end_the_run_and_nobody_starts_a_second_one(
        self, database: Database, datahub: StandIn, queued: Queue
    ) -> None:
        datahub.executor.seconds = 600
        job_id = queued()
        worker = threading.Thread(target=runner.run, args=(job_id, database))
        worker.start()
        _wait_for(database, job_id, "DataHub took the request")
        with datahub.faults.inject(status=503):
            _wait_for(database, job_id, "could not be asked")
            with pytest.raises(UpstreamUnavailable):
                queued()
        with pytest.raises(Conflict, match="does this already"):
            queued()
        datahub.executor.seconds = 0.1
        worker.join(timeout=60)
        with database.read() as session:
            assert jobs.get(session, SYSTEM, job_id=job_id).state == "succeeded"
        assert _outcomes(database) == ["succeeded"]

    def test_a_request_that_datahub_refuses_has_an_outcome(
        self, database: Database, datahub: StandIn, queued: Queue
    ) -> None:
        job_id = queued()
        with datahub.faults.inject(status=401):
            runner.run(job_id, database)
        with database.read() as session:
            assert jobs.get(session, SYSTEM, job_id=job_id).state == "failed"
        assert _outcomes(database) == ["failed"]

    @pytest.mark.parametrize(
        ("status", "said"), [(None, "was asked to cancel"), (500, "may still run it")]
    )
    def test_a_cancelled_job_says_whether_datahub_was_told(
        self, database: Database, datahub: StandIn, queued: Queue, status: int | None, said: str
    ) -> None:
        datahub.executor.seconds = 600
        job_id = queued()
        worker = threading.Thread(target=runner.run, args=(job_id, database))
        worker.start()
        _wait_for(database, job_id, "DataHub says")
        with datahub.faults.inject(status=status, times=None if status else 0):
            with database.write() as session:
                jobs.cancel(session, SYSTEM, job_id=job_id)
            worker.join(timeout=60)
        assert said in _lines(database, job_id)
        with database.read() as session:
            assert jobs.get(session, SYSTEM, job_id=job_id).state == "cancelled"
        assert _outcomes(database) == ["cancelled"]
