"""Client info over REST: the page's table, its corrections and its CSV."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from backend.accounts import api_tokens
from backend.connections import environments
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.models import AuditEvent, DataHubClientInfo

Bearer = Callable[[str], dict[str, str]]
AT = "/api/environments/Prod/client-info"


@pytest.fixture(autouse=True)
def three(database: Database) -> None:
    """Prod is connected, Stage failed, Bare was never asked."""
    now = clock.now()
    with database.write() as session:
        for name, status in (("Prod", "connected"), ("Stage", "failed"), ("Bare", "")):
            made = environments.add(session, SYSTEM, name=name)
            if status:
                session.add(
                    DataHubClientInfo(
                        environment_id=made.id,
                        client_id=f"client-of-{name}",
                        server_id="server-1",
                        frontend_base_url="",
                        server_config={"noCode": "true"},
                        connection_status=status,
                        error_message="",
                        created_at=now,
                        last_updated=now,
                    )
                )


def named(client: TestClient, headers: dict[str, str], **query: str | int) -> list[str]:
    answer = client.get("/api/client-info", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["environment"] for item in answer.json()["items"]]


def test_filters_and_pages(client: TestClient, bearer: Bearer) -> None:
    admin = bearer("admin")
    assert named(client, admin) == ["Prod", "Bare", "Stage"]
    assert named(client, admin, status="failed") == ["Stage"]
    assert named(client, admin, search="SERVER-1", environment="prod") == ["Prod"]
    first = client.get("/api/client-info?limit=2", headers=admin).json()
    assert (len(first["items"]), first["next_cursor"]) == (2, 2)
    assert named(client, admin, limit=2, cursor=first["next_cursor"]) == ["Stage"]
    assert (
        client.get("/api/client-info?limit=2&cursor=2", headers=admin).json()["next_cursor"] is None
    )
    wrong = client.get("/api/client-info?status=odd", headers=admin)
    assert (wrong.status_code, wrong.json()["problems"][0]["loc"]) == (422, ["query", "status"])


def test_an_edit_is_marked_audited_and_refused_by_field(
    client: TestClient, bearer: Bearer, database: Database
) -> None:
    admin = bearer("admin")
    done = client.patch(AT, json={"client_id": "mine"}, headers=admin).json()
    assert (done["client_id"], done["server_id"], done["edited_by"]) == (
        "mine",
        "server-1",
        "t-admin",
    )
    assert done["edited_at"]
    refused = client.patch(AT, json={"frontend_base_url": "datahub.example"}, headers=admin)
    assert (refused.status_code, refused.json()["error"]) == (422, "FieldInvalid")
    assert refused.json()["problems"][0]["loc"] == ["body", "frontend_base_url"]
    nothing = client.patch(AT, json={}, headers=admin)
    assert (nothing.status_code, "changes in some of" in nothing.json()["detail"]) == (400, True)
    with database.read() as session:
        action = AuditEvent.action == "connections:client_info:edit"
        assert len(session.scalars(select(AuditEvent).where(action)).all()) == 1


def test_deleted_is_unknown_and_a_second_time_404(client: TestClient, bearer: Bearer) -> None:
    admin = bearer("admin")
    gone = client.delete(AT, headers=admin)
    assert (gone.status_code, gone.json()["connection_status"]) == (200, "unknown")
    again = client.delete(AT, headers=admin)
    assert (again.status_code, again.json()["error"]) == (404, "NoClientInfo")


def test_csv_has_the_filtered_rows_without_configurations(
    client: TestClient, bearer: Bearer
) -> None:
    answer = client.get("/api/client-info/export.csv?status=connected", headers=bearer("admin"))
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert (lines[0].split(",")[0], len(lines), "noCode" in answer.text) == (
        "environment",
        2,
        False,
    )


def test_a_token_of_one_environment_sees_that_one(client: TestClient, database: Database) -> None:
    with database.write() as session:
        made = api_tokens.add(session, SYSTEM, name="narrow", role="admin", environments=["Stage"])
    headers = {"Authorization": f"Bearer {made.raw}"}
    assert named(client, headers) == ["Stage"]
    assert "Prod" not in client.get("/api/client-info/export.csv", headers=headers).text
    refused = client.patch(AT, json={"client_id": "x"}, headers=headers)
    assert (refused.status_code, "other environments than Prod" in refused.json()["detail"]) == (
        403,
        True,
    )
