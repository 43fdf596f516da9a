"""The data job in the review: the one of the dataset's latest run is selected, others can be."""

import json
import threading
from typing import TYPE_CHECKING

import pytest

from auth import current
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import runs, service
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from pages.shared import beside
from tests.backend.ingestion import conftest as room
from tests.backend.ingestion.conftest import ARN_PROPERTY, JOB, URN, AddRule
from tests.fixtures.pages import OpenPage

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

aws_server, aws, environment = room.aws_server, room.aws, room.environment
add_rule, setenv, datahub = room.add_rule, room.setenv, room.datahub

PAGE = "ingestion/page.py"
EARLY = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),a_job)"


@pytest.fixture
def mapped(aws: AwsStandIn, add_rule: AddRule, datahub: StandIn) -> StandIn:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", URN, "earnings-lambda")
    datahub.seed_data_job(EARLY, writes=[URN])
    datahub.seed_data_job(JOB, writes=[URN])
    datahub.seed_process_run("r1", job=JOB, wrote=URN, at=1_000, result="FAILURE")
    return datahub


def _review(open_page: OpenPage) -> "AppTest":
    app = open_page(PAGE, role="operator", dataset_urn=URN)
    return app.button(key="ingestion.review").click().run()


def _box(app: "AppTest") -> object:
    [box] = [each for each in app.selectbox if (each.key or "").startswith("ingestion.job.")]
    return box


def test_the_latest_runs_job_is_sent_unless_another_is_picked(
    open_page: OpenPage, database: Database, mapped: StandIn
) -> None:
    app = _review(open_page)
    box = _box(app)
    assert box.value == JOB
    assert "2 write this dataset" in box.label
    assert [text.split(" · ")[0] for text in box.options] == [
        "example_job",
        "a_job",
        "None: the dataset's own rule",
    ]
    assert "failed" in box.options[0]
    assert json.loads(app.json[0].value)["jobUrn"] == JOB
    box.set_value(EARLY).run()
    assert json.loads(app.json[0].value)["jobUrn"] == EARLY
    app.button(key="ingestion.confirm.confirm").click().run()
    assert not app.exception
    with database.read() as session:
        [run] = service.list_runs(session, SYSTEM).items
    assert run.job_urn == EARLY


def test_none_sends_no_job(open_page: OpenPage, mapped: StandIn) -> None:
    app = _review(open_page)
    _box(app).set_value("").run()
    assert "jobUrn" not in json.loads(app.json[0].value)


def test_a_job_that_cannot_be_taken_does_not_hide_the_datasets_rule(
    open_page: OpenPage, mapped: StandIn, setenv: object
) -> None:
    setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
    mapped.seed_data_job(JOB, writes=[URN], structured={ARN_PROPERTY: ["not-an-arn"]})
    app = _review(open_page)
    assert any("The data job was not used" in each.value for each in app.warning)
    assert _box(app).value == ""
    assert "earnings-lambda" in "".join(each.value for each in app.markdown)


@pytest.mark.usefixtures("mapped")
def test_a_review_that_takes_long_is_waited_for_by_the_page(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its button's own run does not wait for it."""
    may_answer, preview = threading.Event(), runs.preview
    monkeypatch.setattr(beside, "AT_ONCE", 0.0)
    monkeypatch.setattr(current, "is_part", lambda: True)
    monkeypatch.setattr(
        runs, "preview", lambda *given, **asked: may_answer.wait() and preview(*given, **asked)
    )
    app = _review(open_page)
    assert app.button(key="ingestion.asked.stop").label == "Stop"
    may_answer.set()
    app.session_state["ingestion.asked"].answer.result(timeout=60)
    app.run()
    assert json.loads(app.json[0].value)["datasetUrn"] == URN
