"""Every field of every kind, typed wrong over REST: the answer names exactly that field."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from backend.connections import environments, kinds
from backend.connections.fields import Kind
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.connections.conftest import VALID
from tests.backend.connections.wrong_values import typed, wrong

FIELDS = [
    (kind, where, field)
    for kind in kinds.KINDS.values()
    for where, found in (("settings", kind.settings), ("secrets", kind.secrets))
    for field in found
]
Headers = dict[str, str]


@pytest.fixture
def admin(database: Database, bearer: Callable[[str], Headers]) -> Headers:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    return bearer("admin")


def refused(client: TestClient, admin: Headers, kind: Kind, body: dict[str, object]) -> set[str]:
    """The places that the answer names; nothing was stored."""
    at = f"/api/environments/Prod/connections/{kind.name}"
    answer = client.put(at, json=body, headers=admin)
    assert (answer.status_code, answer.json()["error"]) == (422, "FieldInvalid"), answer.text
    for problem in answer.json()["problems"]:
        assert problem["msg"].startswith(f"{kind.label}: "), problem
    assert client.get(at, headers=admin).json()["version"] == 0
    return {".".join(problem["loc"]) for problem in answer.json()["problems"]}


@pytest.mark.parametrize(
    ("kind", "where", "field"), FIELDS, ids=[f"{k.name}-{f.name}" for k, _, f in FIELDS]
)
def test_a_wrong_value_names_its_field(
    client: TestClient, admin: Headers, kind: Kind, where: str, field: kinds.Field
) -> None:
    body = {"settings": dict(VALID[kind.name]), "secrets": {}}
    body[where][field.name] = wrong(field)
    assert refused(client, admin, kind, body) == {f"body.{where}.{field.name}"}


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
def test_all_wrong_at_once_are_all_named(client: TestClient, admin: Headers, kind: Kind) -> None:
    settings, secrets = typed(kind)
    assert refused(client, admin, kind, {"settings": settings, "secrets": secrets}) == {
        *(f"body.settings.{name}" for name in settings),
        *(f"body.secrets.{name}" for name in secrets),
    }


@pytest.mark.parametrize(
    ("settings", "named", "said"),
    [
        ({"paging": "relay"}, "paging", "variable $after"),
        ({"query": "mutation { drop }"}, "query", "no mutation"),
        ({"headers": "x-key: a\nno colon"}, "headers", "Line 2"),
        ({"variables": "[1]"}, "variables", "JSON object"),
    ],
)
def test_what_a_directory_cannot_read_is_said_before_it_is_saved(
    client: TestClient, admin: Headers, settings: dict[str, str], named: str, said: str
) -> None:
    directory = kinds.KINDS["directory"]
    at = "/api/environments/Prod/connections/directory"
    body = {"settings": {**VALID["directory"], **settings}}
    assert refused(client, admin, directory, body) == {f"body.settings.{named}"}
    assert said in client.put(at, json=body, headers=admin).json()["detail"]


def test_a_secret_that_is_wrong_is_not_repeated(client: TestClient, admin: Headers) -> None:
    body = {"settings": VALID["directory"], "secrets": {"secret_headers": "planted53cret: \u00fc"}}
    at = "/api/environments/Prod/connections/directory"
    answer = client.put(at, json=body, headers=admin)
    assert (answer.status_code, "planted53cret" in answer.text) == (422, False)
