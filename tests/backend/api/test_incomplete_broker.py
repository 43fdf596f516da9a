"""A broker's URL that names a user before its password is stored is answered in sentences."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from backend.connections import environments, service
from backend.core.access import SYSTEM
from backend.core.database import Database

Bearer = Callable[[str], dict[str, str]]
REQUEST = {"environment": "e", "request": {}}


@pytest.fixture(autouse=True)
def broker_without_a_password(database: Database) -> None:
    settings = {"url": "amqp://u@127.0.0.1:9/"}
    with database.write() as session:
        environments.add(session, SYSTEM, name="e", is_sandbox=True)
        service.save(session, SYSTEM, environment="e", kind="rabbitmq", settings=settings)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/environments/e/connections/rabbitmq", None),
        ("GET", "/api/environments/e/checklist", None),
        ("GET", "/api/mounts?environment=e", None),
        ("POST", "/api/environments/e/test?kind=rabbitmq", None),
    ],
)
def test_no_request_ends_in_a_bug(
    client: TestClient, bearer: Bearer, method: str, path: str, body: object
) -> None:
    answer = client.request(method, path, json=body, headers=bearer("admin"))
    assert answer.status_code != 500, answer.text


def test_a_test_says_what_is_missing(client: TestClient, bearer: Bearer) -> None:
    answer = client.post("/api/environments/e/test?kind=rabbitmq", headers=bearer("admin"))
    [result] = answer.json()["results"]
    assert (result["ok"], result["advice"]) == (False, "Set the password of this connection.")
