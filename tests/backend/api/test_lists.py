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
URN = "urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.customers,PROD)"
HISTORIES = ["/api/ingestion/runs", "/api/tokenization/runs"]


def test_an_environment_that_is_nowhere(client: TestClient, bearer: Bearer) -> None:
    """Wherever a list can be asked for one."""
    headers = bearer("admin")
    asked = {
        path: {each["name"]: URN for each in operations["get"]["parameters"] if each["required"]}
        for path, operations in client.get("/api/openapi.json").json()["paths"].items()
        if "{" not in path
        and any(
            each["name"] == "environment"
            for each in operations.get("get", {}).get("parameters", ())
        )
    }
    assert len(asked) > 20
    for path, needed in asked.items():
        answer = client.get(path, params={"environment": "prdo", **needed}, headers=headers)

        assert (answer.status_code, answer.json()["error"]) == (404, "EnvironmentNotFound"), path
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


def test_runs_are_found_by_the_environments_present_name(
    client: TestClient, catalogued: World, bearer: Bearer
) -> None:
    run, headers = catalogued.start("customers"), bearer("admin")
    events = client.get("/api/audit", headers=headers).json()["items"]
    with catalogued.database.write() as session:
        environments.update(session, SYSTEM, name=run.environment, new_name="Renamed")
        environments.add(session, SYSTEM, name="another")

    def found(name: str) -> tuple[int, list[tuple[int, str]]]:
        answer = client.get(HISTORIES[1], params={"environment": name}, headers=headers)
        items = answer.json().get("items", [])
        return answer.status_code, [(item["run_id"], item["environment"]) for item in items]

    assert found("renamed") == (200, [(run.id, "Renamed")])
    assert found("another") == (200, [])
    assert found(run.environment) == (404, [])
    assert client.get("/api/audit", headers=headers).json()["items"][2:] == events
    assert client.post("/api/audit/verify", json={}, headers=headers).json()["ok"]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/api/tokenization/runs?status=faild", "failed"),
        ("/api/tokenization/runs?trigger=robot", "watch"),
        ("/api/ingestion/runs?status=faild", "failed"),
        ("/api/ingestion/datasets?only=faild", "failed"),
        ("/api/jobs?status=faild", "failed"),
        ("/api/jobs?kind=user_snyc", "user_sync, accounts.check_state"),
        ("/api/changes?status=faild", "failed"),
        ("/api/changes?which=theirs", "to_approve"),
        ("/api/client-info?status=faild", "failed"),
        ("/api/client-info/export.csv?status=faild", "failed"),
        ("/api/audit?outcome=faild", "expired, failed"),
        ("/api/audit?action=acounts:", "accounts, audit"),
        ("/api/audit?action=accounts:acount:", "accounts:account, accounts:api_token"),
        ("/api/audit/export.csv?outcome=faild", "expired, failed"),
    ],
)
def test_a_word_that_no_row_has(client: TestClient, bearer: Bearer, path: str, known: str) -> None:
    answer = client.get(path, headers=bearer("admin"))

    listed = answer.json()["error"] == "InvalidPayload"  # in the OpenAPI document
    assert answer.status_code == (422 if listed else 400), answer.text
    assert known in answer.json()["detail"].replace("'", "")


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs?kind=user_sync",
        "/api/jobs?kind=user_sync.plan",
        "/api/audit?outcome=withdrawn",
        "/api/audit?action=mou",
        "/api/audit?action=accounts:account:rename",
        "/api/audit?action=connections:client_info:edit",
        "/api/audit?action=ingestion:links:put",
    ],
)
def test_a_word_that_a_row_may_have_later(client: TestClient, bearer: Bearer, path: str) -> None:
    answer = client.get(path, headers=bearer("admin"))

    assert (answer.status_code, answer.json()["items"]) == (200, []), answer.text


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
