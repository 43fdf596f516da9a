"""The data jobs that write a dataset, on the page's, CLI's and REST's side of the adapter."""

import json

import pytest

from backend.core.errors import NotFound
from backend.ingestion import data_jobs
from tests.backend.ingestion.conftest import JOB, OTHER, URN

EARLY = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),a_job)"


@pytest.fixture
def two_jobs(datahub):
    datahub.seed_data_job(EARLY, writes=[URN])
    datahub.seed_data_job(JOB, writes=[URN])
    datahub.seed_process_run("r1", job=EARLY, wrote=OTHER, at=1_000, result="UP_FOR_RETRY")
    datahub.seed_process_run("r2", job=JOB, wrote=URN, at=2_000)
    return datahub


def test_the_latest_runs_job_comes_first_each_with_its_outcome(database, actors, two_jobs):
    found = data_jobs.list_jobs(database, actors.viewer, dataset_urn=URN)

    assert [(job.urn, job.latest, job.last_status) for job in found.items] == [
        (JOB, True, "running"),
        (EARLY, False, "failed"),
    ]


def test_a_job_without_a_run_has_no_status(database, actors, datahub):
    datahub.seed_data_job(JOB, writes=[URN])

    [job] = data_jobs.list_jobs(database, actors.viewer, dataset_urn=URN).items

    assert (job.last_status, job.last_at) == ("", None)


def test_without_a_datahub_connection_it_says_so(database, actors, environment):
    with pytest.raises(NotFound, match="no DataHub connection"):
        data_jobs.list_jobs(database, actors.viewer, dataset_urn=URN)


def test_rest_and_the_command_line_list_the_same(client, token, run, two_jobs):
    answer = client.get("/api/ingestion/jobs", params={"datasetUrn": URN}, headers=token("viewer"))

    assert answer.status_code == 200
    assert [item["jobUrn"] for item in answer.json()["items"]] == [JOB, EARLY]
    assert answer.json()["total"] == 2
    ended = run("jobs", "--dataset-urn", URN, "--json")
    assert ended.status == 0
    assert json.loads(ended.out) == answer.json()
