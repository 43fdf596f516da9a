"""Change requests over REST: 202 with the address, decisions by tokens, and who may not."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from backend.accounts import api_tokens
from backend.core import clock
from backend.core.access import SYSTEM
from backend.models import ApiToken
from tests.backend.changes.conftest import ONE, World, world  # noqa: F401 - a fixture
from tests.fixtures.api import rest_app

POLICY = "/api/environments/prod/policies/mounts.mount"


@pytest.fixture
def client(world: World) -> TestClient:  # noqa: F811 - as above
    return TestClient(rest_app())


def _token(world: World, name: str, role: str = "admin", **limits: object) -> dict[str, str]:  # noqa: F811 - as above
    with world.database.write() as session:
        made = api_tokens.add(session, SYSTEM, name=name, role=role, **limits)  # type: ignore[arg-type]  # as given
    return {"Authorization": f"Bearer {made.raw}"}


def _grow_old(world: World) -> None:  # noqa: F811 - as above
    with world.database.write() as session:
        session.execute(update(ApiToken).values(created_at=clock.now() - timedelta(hours=1)))


def test_a_weaker_policy_is_answered_202_and_carried_out_after_the_approval(
    client: TestClient,
    world: World,  # noqa: F811 - as above
) -> None:
    one, two = _token(world, "one"), _token(world, "two")
    assert client.put(POLICY, json={"mode": "approve"}, headers=one).status_code == 200
    answer = client.put(POLICY, json={"mode": "confirm"}, headers=one)
    assert answer.status_code == 202
    number = answer.json()["change_id"]
    assert answer.json()["status"] == "waiting"
    assert answer.json()["runId"] == f"change-{number}"
    assert answer.headers["Location"] == f"/api/changes/{number}"

    refused = client.post(f"/api/changes/{number}/approve", headers=one)
    assert refused.status_code == 403
    assert "asked for by you" in refused.json()["detail"]
    approved = client.post(f"/api/changes/{number}/approve", json={"comment": "ok"}, headers=two)
    assert approved.json()["status"] == "approved"
    assert world.run_job(number).status == "succeeded"
    rules = client.get("/api/environments/prod/policies", headers=one).json()["items"]
    assert {each["rule"]["mode"] for each in rules if each["action"] == "mounts.mount"} == {
        "confirm"
    }


def test_an_old_token_does_not_decide(client: TestClient, world: World) -> None:  # noqa: F811 - as above
    world.rule(ONE)
    number, headers = world.ask(), _token(world, "script")
    _grow_old(world)
    answer = client.post(f"/api/changes/{number}/approve", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "NotFresh")


def test_who_may_only_ask_files_and_does_not_decide(client: TestClient, world: World) -> None:  # noqa: F811 - as above
    world.rule(ONE)
    number, headers = world.ask(), _token(world, "bot", ask_only=True)
    answer = client.put(POLICY, json={"mode": "approve"}, headers=headers)
    assert answer.status_code == 202
    answer = client.post(f"/api/changes/{number}/approve", headers=headers)
    assert answer.status_code == 403
    assert "may look and ask for changes only" in answer.json()["detail"]


def test_a_token_of_another_environment_sees_and_touches_nothing(
    client: TestClient,
    world: World,  # noqa: F811 - as above
) -> None:
    from backend.connections import environments

    with world.database.write() as session:
        environments.add(session, SYSTEM, name="dev")
    world.rule(ONE)
    number, headers = world.ask(), _token(world, "dev-only", environments=["dev"])
    assert client.get("/api/changes", headers=headers).json()["items"] == []
    for answer in (
        client.get(f"/api/changes/{number}", headers=headers),
        client.post(f"/api/changes/{number}/approve", headers=headers),
        client.post(f"/api/changes/{number}/withdraw", headers=headers),
        client.put(POLICY, json={"mode": "approve"}, headers=headers),
    ):
        assert answer.status_code == 403
        assert "limited to other environments" in answer.json()["detail"]


def test_a_rejection_and_a_comment(client: TestClient, world: World) -> None:  # noqa: F811 - as above
    world.rule(ONE)
    number, headers = world.ask(), _token(world, "two")
    said = client.post(f"/api/changes/{number}/comments", json={"text": "why?"}, headers=headers)
    assert [step["what"] for step in said.json()["steps"]] == ["asked", "commented"]
    answer = client.post(f"/api/changes/{number}/reject", json={"reason": "no"}, headers=headers)
    assert (answer.json()["status"], answer.json()["outcome"]) == ("rejected", "no")
    again = client.post(f"/api/changes/{number}/reject", json={"reason": "no"}, headers=headers)
    assert again.status_code == 409
