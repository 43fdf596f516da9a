"""Jobs of the room: links and checks, through the real job runner."""

from types import SimpleNamespace

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import background
from backend.ingestion.links import LABEL
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import OTHER, URN, AddRule


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are run by the tests themselves."""
    monkeypatch.setattr(broker, "send", lambda *_: None)


class TestLinksAndChecks:
    def test_links_of_one_dataset_as_a_job(
        self, database: Database, datahub: StandIn, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("default", "", "f")
        with database.write() as session:
            job_id = background.queue_links(session, actors.admin, mode="put", dataset_urn=URN)
        runner.run(job_id, database)
        with database.read() as session:
            job = jobs.get(session, SYSTEM, job_id=job_id)
        assert (job.state, (job.result or {})["changed"]) == ("succeeded", 1)
        memory = datahub.aspect(URN, "institutionalMemory") or {}
        assert [link["description"] for link in memory["elements"]] == [LABEL]
        assert datahub.aspect(OTHER, "institutionalMemory") is None

    def test_a_check_as_a_job_names_no_target_to_those_who_may_not_see_it(
        self, database: Database, add_rule: AddRule, aws: AwsStandIn, actors: SimpleNamespace
    ) -> None:
        add_rule("exact", URN, "gone-lambda")
        with database.write() as session:
            job_id = background.queue_check(session, actors.admin)
        runner.run(job_id, database)
        with database.read() as session:
            seen = repr(jobs.get(session, actors.viewer, job_id=job_id))
            seen += repr(jobs.lines(session, actors.viewer, job_id=job_id))
        assert "'dead': 1" in seen
        assert "gone-lambda" not in seen

    def test_a_check_that_stops_says_why_without_names(
        self, database: Database, add_rule: AddRule, aws: AwsStandIn, actors: SimpleNamespace
    ) -> None:
        add_rule("exact", URN, "secret-lambda")
        with database.write() as session:
            job_id = background.queue_check(session, actors.admin)
        with aws.faults.inject(status=429, code="TooManyRequestsException"):
            runner.run(job_id, database)
        with database.read() as session:
            job = jobs.get(session, actors.viewer, job_id=job_id)
        assert (job.state, "limits the rate" in (job.error or "")) == ("failed", True)
        assert "secret-lambda" not in repr(job)
