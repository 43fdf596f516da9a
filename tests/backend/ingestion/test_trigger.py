"""What POST /api/ingestion/run takes beyond a dataset: document 004 as its button speaks it."""

import json
from collections.abc import Callable

from fastapi.testclient import TestClient

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import run_context
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import ARN_PROPERTY, JOB, URN, Headers


def test_fields_that_nobody_knows_travel_as_the_triggers_metadata(
    client: TestClient, token: Headers, mapped: str, aws: AwsStandIn
) -> None:
    body = {"datasetUrn": URN, "ticket": 7, "from": "button", "metadata": {"ticket": 8}}
    answer = client.post("/api/ingestion/run", headers=token("operator"), json=body)
    assert answer.status_code == 200
    assert aws.starts()[0].payload["metadata"] == {"ticket": 8, "from": "button"}


def test_the_job_alone_is_enough_when_it_names_its_machine(
    client: TestClient,
    token: Headers,
    aws: AwsStandIn,
    datahub: StandIn,
    setenv: Callable[..., None],
) -> None:
    setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
    machine, headers = aws.add_machine("nightly", seconds=60), token("operator")
    datahub.seed_data_job(JOB, structured={ARN_PROPERTY: [machine]})
    for body in ({"jobUrn": JOB}, {"jobUrn": JOB, "datasetUrn": ""}):
        answer = client.post("/api/ingestion/run", headers=headers, json=body)
    assert (answer.status_code, answer.json()["status"]) == (409, "failed")
    assert answer.json()["runStatus"] in ("accepted", "running")
    [started] = aws.starts()
    sent = json.loads(started.payload["input"])
    assert (sent["jobUrn"], sent["jobArn"]) == (JOB, machine)
    assert "datasetUrn" not in sent
    run = client.get(f"/api/ingestion/runs/{answer.json()['runId']}", headers=headers).json()
    assert (run["datasetUrn"], run["jobUrn"], run["rule"]) == (None, JOB, "job_property")


def test_a_job_whose_property_is_blank_is_as_one_without(
    client: TestClient,
    token: Headers,
    mapped: str,
    aws: AwsStandIn,
    datahub: StandIn,
    setenv: Callable[..., None],
) -> None:
    setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=ARN_PROPERTY)
    datahub.seed_data_job(JOB, structured={ARN_PROPERTY: [" "]})
    headers = token("operator")
    alone = client.post("/api/ingestion/run", headers=headers, json={"jobUrn": JOB})
    assert alone.status_code == 404
    assert f"The job has no value for {ARN_PROPERTY}" in alone.json()["message"]
    both = {"jobUrn": JOB, "datasetUrn": URN}
    assert client.post("/api/ingestion/run", headers=headers, json=both).status_code == 200
    assert aws.starts()[0].name == "earnings-lambda"


def test_without_a_default_environment_nothing_passes_by_the_policies_of_those_there_are(
    client: TestClient,
    token: Headers,
    mapped: str,
    aws: AwsStandIn,
    database: Database,
    setenv: Callable[..., None],
) -> None:
    setenv(DATAHUB_INGESTION_LAMBDA_DEFAULT=mapped)
    with database.write() as session:
        environments.add(session, SYSTEM, name="gone", default=True)
        environments.remove(session, SYSTEM, name="gone", confirm_name="gone")
    answer = client.post("/api/ingestion/run", headers=token("operator"), json={"datasetUrn": URN})
    assert (answer.status_code, answer.json()["status"]) == (404, "failed")
    assert answer.json()["error"] == "NoDefaultEnvironment"
    assert aws.starts() == []


def test_a_run_of_no_environment_stays_one_when_there_is_a_default_one(
    database: Database, environment: str
) -> None:
    with database.read() as session:
        context = run_context.of_run(session, IngestionRun(environment_id=0))
    assert (context.environment_id, context.environment) == (0, "")
