"""Environments, client info and tests over REST."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from backend.accounts import api_tokens
from backend.connections import environments, service
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.sandbox.datahub import StandIn
from tests.fixtures.certificates import Authority

TOKEN = "planted-datahub-token"


@pytest.fixture
def prod(database: Database) -> Iterator[StandIn]:
    """An environment whose DataHub is the stand-in."""
    with StandIn(token=TOKEN) as gms:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Prod")
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="datahub",
                settings={"server": gms.url},
                secrets_in={"token": TOKEN},
            )
        yield gms


class TestTrust:
    def test_an_authority_is_given(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        put = {"ca": Authority().pem, "verify_tls": False}
        answer = client.put("/api/environments/prod/trust", json=put, headers=bearer("admin"))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["verify_tls"], said["authorities"]) == (False, ["CN=Acme Test CA"])
        refused = client.put(
            "/api/environments/prod/trust", json={"ca": "nonsense"}, headers=bearer("admin")
        )
        assert (refused.status_code, "cannot be read" in refused.json()["detail"]) == (400, True)


class TestConnection:
    def test_it_is_set_and_every_wrong_field_is_named(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        at, admin = "/api/environments/prod/connections/postgres", bearer("admin")
        wrong = {"settings": {"host": "http://h", "port": "many", "database": "d", "user": "u"}}
        refused = client.put(at, json=wrong, headers=admin)
        assert (refused.status_code, refused.json()["error"]) == (422, "FieldInvalid")
        assert [each["loc"] for each in refused.json()["problems"]] == [
            ["body", "settings", "host"],
            ["body", "settings", "port"],
        ]
        right = {
            "settings": {"host": "h", "database": "d", "user": "u"},
            "secrets": {"password": "p4ss"},
        }
        saved = client.put(at, json=right, headers=admin).json()
        assert (saved["version"], saved["secrets_set"]) == (1, ["password"])
        assert "p4ss" not in str(client.get(at, headers=admin).json())
        stale = client.put(at, json={**right, "version": 0}, headers=admin)
        assert (stale.status_code, stale.json()["error"]) == (409, "ChangedMeanwhile")

    def test_the_checklist_says_what_each_job_lacks(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        answer = client.get("/api/environments/prod/checklist", headers=bearer("viewer")).json()
        assert answer["environment"] == "Prod"
        assert not any(job["ready"] for job in answer["jobs"])
        steps = {job["job"]: job["steps"] for job in answer["jobs"]}
        assert steps["Tokenization"][0]["kinds"] == ["postgres", "mysql", "databricks"]
        assert steps["Ingestion"] == [
            {"kinds": ["aws"], "kind": "aws", "status": "missing", "optional": False},
            {"kinds": ["datahub"], "kind": "datahub", "status": "untested", "optional": True},
        ]


class TestTest:
    def test_answers_with_results_and_client_info_is_there_afterwards(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        admin = bearer("admin")
        answer = client.post("/api/environments/prod/test", headers=admin)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert document["environment"] == "Prod"
        assert [(item["kind"], item["ok"]) for item in document["results"]] == [("datahub", True)]
        info = client.get("/api/environments/Prod/client-info", headers=admin).json()
        assert info["connection_status"] == "connected"
        assert info["client_id"]
        assert TOKEN not in answer.text + str(info)

    def test_one_kind_can_be_asked_for(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        answer = client.post("/api/environments/prod/test?kind=aws", headers=bearer("admin"))
        assert answer.status_code == 200
        assert [item["ok"] for item in answer.json()["results"]] == [False]

    def test_before_any_test_client_info_is_unknown(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        info = client.get("/api/environments/Prod/client-info", headers=bearer("admin")).json()
        assert (info["connection_status"], info["client_id"]) == ("unknown", None)


class TestErrors:
    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_other_roles_get_403(
        self,
        client: TestClient,
        prod: StandIn,
        bearer: Callable[[str], dict[str, str]],
        role: str,
    ) -> None:
        headers = bearer(role)
        refused = client.get("/api/environments/prod/client-info", headers=headers)
        assert refused.status_code == 403
        assert "connections:client_info:read" in refused.json()["detail"]
        tested = client.post("/api/environments/prod/test", headers=headers)
        assert tested.status_code == (200 if role == "operator" else 403)
        assert set(refused.json()) == {"error", "detail", "reference"}
        listed = client.get("/api/environments", headers=headers).json()
        assert [environment["name"] for environment in listed["items"]] == ["Prod"]

    def test_unknown_environment_404_unknown_kind_400(
        self, client: TestClient, prod: StandIn, bearer: Callable[[str], dict[str, str]]
    ) -> None:
        headers = bearer("admin")
        assert client.post("/api/environments/nope/test", headers=headers).status_code == 404
        assert client.get("/api/environments/nope/client-info", headers=headers).status_code == 404
        wrong = client.post("/api/environments/prod/test?kind=nope", headers=headers)
        assert wrong.status_code == 400
        assert "datahub" in wrong.json()["detail"]


def test_a_token_of_one_environment_is_refused_in_another(
    client: TestClient, prod: StandIn, database: Database
) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Staging")
        made = api_tokens.add(
            session,
            SYSTEM,
            name="narrow",
            role="operator",
            actions=["connections"],
            environments=["Staging"],
        )
    headers = {"Authorization": f"Bearer {made.raw}"}
    allowed = client.post("/api/environments/Staging/test", headers=headers)
    assert allowed.status_code == 200, allowed.text
    refused = client.post("/api/environments/Prod/test", headers=headers)
    assert refused.status_code == 403
    assert "limited to other environments than Prod" in refused.json()["detail"]
    shown = client.get("/api/environments", headers=headers).json()["items"]
    assert [item["name"] for item in shown] == ["Staging"]
    other = client.get("/api/jobs", headers=headers)
    assert other.status_code == 403
    assert "limited to other actions" in other.json()["detail"]
    with database.read() as session:
        assert api_tokens.list_tokens(session, SYSTEM).items[0].last_address == "testclient"
