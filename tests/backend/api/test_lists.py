"""Lists over REST: a filter that nothing can fit is refused, not answered with an empty list."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import World

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued

Bearer = Callable[[str], dict[str, str]]
HISTORIES = ["/api/ingestion/runs", "/api/tokenization/runs"]


@pytest.mark.parametrize("path", HISTORIES)
def test_an_environment_that_is_nowhere(client: TestClient, bearer: Bearer, path: str) -> None:
    answer = client.get(path, params={"environment": "prdo"}, headers=bearer("viewer"))

    assert (answer.status_code, answer.json()["error"]) == (404, "EnvironmentNotFound")
    assert "'prdo'" in answer.json()["detail"]


@pytest.mark.parametrize("path", HISTORIES)
def test_an_environment_where_nothing_ran_yet(
    client: TestClient, database: Database, bearer: Bearer, path: str
) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Prod")

    answer = client.get(path, params={"environment": "prod"}, headers=bearer("viewer"))

    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_runs_are_found_however_the_name_was_typed(
    client: TestClient, catalogued: World, bearer: Bearer
) -> None:
    run, headers = catalogued.start("customers"), bearer("viewer")

    for typed in (run.environment, f" {run.environment.upper()} "):
        answer = client.get(HISTORIES[1], params={"environment": typed}, headers=headers)
        assert [item["run_id"] for item in answer.json()["items"]] == [run.id], typed


@pytest.mark.parametrize(
    ("path", "status", "known"),
    [
        ("/api/tokenization/runs?status=faild", 400, "failed"),
        ("/api/tokenization/runs?trigger=robot", 400, "watch"),
        ("/api/ingestion/runs?status=faild", 400, "failed"),
        ("/api/jobs?status=faild", 422, "failed"),
    ],
)
def test_a_word_that_no_row_has(
    client: TestClient, bearer: Bearer, path: str, status: int, known: str
) -> None:
    answer = client.get(path, headers=bearer("viewer"))

    assert answer.status_code == status, answer.text
    assert known in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/mounts?host=a&host=b", "host"),
        ("/api/jobs?limit=1&limit=2", "limit"),
        ("/api/ingestion/runs?datasetUrn=a&datasetUrn=b", "datasetUrn"),
    ],
)
def test_one_value_given_twice(client: TestClient, bearer: Bearer, path: str, name: str) -> None:
    answer = client.get(path, headers=bearer("viewer"))

    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        f"query.{name}: is given more than once; give one",
    )


@pytest.mark.parametrize("path", ["/api/jobs", "/api/ingestion/runs"])
def test_several_values_where_they_are_taken(client: TestClient, bearer: Bearer, path: str) -> None:
    answer = client.get(f"{path}?status=failed&status=running", headers=bearer("viewer"))

    assert answer.status_code == 200, answer.text
