"""What a token that is limited to one environment writes elsewhere, over REST: nothing.

Every writing operation of the OpenAPI document is called with numbers, names and bodies of another
environment, so that a new one is asked, too, or named below with the reason why it need not be.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from backend.accounts import api_tokens, service
from backend.connections import environments
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.jobs.enqueue import enqueue
from backend.models import (
    Change,
    Environment,
    IngestionRun,
    NotificationChannel,
    SyncDomainMap,
    SyncIgnore,
    SyncPlan,
    SyncRun,
    TokenizationRun,
)
from tests.security.conftest import ENVIRONMENT
from tests.security.test_api_roles import NEEDS, QUERIES
from tests.security.test_limited_reach import row

MINE = "mine"
#: What a limited token may write although nothing names an environment, and why.
HARMLESS = {
    "PUT /api/alerts/{key}/seen": "a mark of one's own; shown is what is reached",
    "POST /api/audit/verify": "reads",
}
#: How a refusal for the limit begins or what it says; another refusal proves nothing.
LIMITED = ("is limited to other environments than", "is limited, and", "concerns all environments",
           "was started by")  # fmt: skip


@pytest.fixture
def token(world: Database) -> str:
    with world.write() as session:
        environments.add(session, SYSTEM, name=MINE)
        environments.make_default(session, SYSTEM, name=ENVIRONMENT)
        made = api_tokens.add(session, SYSTEM, name="narrow", role=Role.ADMIN, environments=[MINE])
    return made.raw


@pytest.fixture
def theirs(world: Database) -> dict[str, str]:
    """Numbers and names of the other environment, as they stand in addresses."""
    with world.write() as session:
        number = session.scalars(
            select(Environment.id).where(Environment.name == ENVIRONMENT)
        ).one()
        known: dict[str, Any] = {"environment_id": number}
        named = {**known, "environment": ENVIRONMENT}
        plan = row(SyncPlan, **named, state="ready")
        session.add(plan)
        session.flush()
        made = {
            "plan_id": plan,
            "run_id": row(SyncRun, **named, plan_id=plan.id, state="stopped"),
            "tokenization": row(TokenizationRun, **named, state="finished"),
            "ingestion": row(
                IngestionRun, **known, environment_name=ENVIRONMENT, run_id="run-of-theirs"
            ),
            "ignore_id": row(SyncIgnore, **known, user_id="u", field="domains"),
            "map_id": row(SyncDomainMap, **known, said="a", domain="b"),
            "change_id": row(Change, **named, state="waiting", action="mounts.mount"),
            "another_change": row(Change, **named, state="waiting", action="mounts.mount"),
            "channel": row(NotificationChannel, **known, name="pager", owner_id=0),
        }
        session.add_all(made.values())
        session.flush()
        job = enqueue(session, SYSTEM, "connections.test", {}, subject=ENVIRONMENT)
        return {
            **{key: str(each.id) for key, each in made.items()},
            "job_id": str(job),
            "ingestion": "run-of-theirs",
            "name": ENVIRONMENT,
            "kind": "datahub",
            "action": "mounts.mount",
            "target": "t",
            "job": "1",
            "host": "compute-01",
            "operation_id": "x",
            "account_id": "1",
            "identity_id": "1",
            "key": "0" * 64,
        }


def _of(operation: str, theirs: dict[str, str]) -> dict[str, str]:
    """The values for this operation's address: a run_id or name means something else in each."""
    found = dict(theirs)
    if "/tokenization/" in operation:
        found["run_id"] = theirs["tokenization"]
    if "/ingestion/" in operation:
        found["run_id"], found["name"] = theirs["ingestion"], "sample_file.yml"
    if "/notifications/" in operation:
        found["name"] = "pager"
    return found


def _writing(api: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in api.openapi()["paths"].items():
        for method, described in methods.items():
            if method != "get":
                yield f"{method.upper()} {path}", described


def _takes_environment(described: dict[str, Any], document: dict[str, Any]) -> tuple[bool, bool]:
    """Whether it is named in the query, and whether in the body."""
    query = any(each["name"] == "environment" for each in described.get("parameters", ()))
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    asked = content.get("schema", {})
    for each in (asked, *asked.get("anyOf", ())):
        name = each.get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"].get(name, each)
        if "environment" in schema.get("properties", {}):
            return query, True
    return query, False


def test_no_operation_writes_to_another_environment(
    api: FastAPI, client: TestClient, token: str, theirs: dict[str, str], world: Database
) -> None:
    document, wrong = api.openapi(), {}
    for operation, described in _writing(api):
        method, path = operation.split(" ")
        query, body = _takes_environment(described, document)
        params = dict(QUERIES.get(operation, {})) | ({"environment": ENVIRONMENT} if query else {})
        sent = NEEDS[operation][1]
        if body:
            sent = {**(sent or {}), "environment": ENVIRONMENT}
        if operation == "POST /api/changes/approve":
            sent = {"changes": [int(theirs["change_id"]), int(theirs["another_change"])]}
        answer = client.request(
            method,
            path.format(**_of(operation, theirs)),
            headers={"Authorization": f"Bearer {token}"},
            json=sent,
            params=params,
        )
        said = answer.json() if answer.content else {}
        limited = answer.status_code == 403 and any(w in said["detail"] for w in LIMITED)
        if not limited and operation not in HARMLESS:
            wrong[operation] = (answer.status_code, said.get("detail", said))
    assert not wrong, "\n".join(f"{each}: {said}" for each, said in wrong.items())


def test_what_is_of_all_environments_is_not_a_limited_tokens(
    client: TestClient, token: str, theirs: dict[str, str], world: Database
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    address = "https://receiver.example/hook"
    for method, path, body in (
        ("PATCH", f"/api/environments/{MINE}", {"default": True}),
        ("POST", "/api/environments", {"name": "another", "default": True}),
        ("POST", "/api/notifications/channels", {"name": "x", "address": address}),
    ):
        answer = client.request(method, path, headers=headers, json=body)
        assert answer.status_code == 403, (path, answer.text)
        assert "concerns all environments" in answer.json()["detail"]
    shown = client.get("/api/notifications/channels", headers=headers).json()
    assert "pager" not in str(shown)
    with world.read() as session:
        found = environments.list_all(session, SYSTEM)
    assert {each.name: each.is_default for each in found} == {ENVIRONMENT: True, MINE: False}


def test_its_own_environment_is_still_written(
    client: TestClient, token: str, theirs: dict[str, str]
) -> None:
    """The limit is one and not a wall: else the refusals above would prove little."""
    headers = {"Authorization": f"Bearer {token}"}
    body = {"said": "a", "domain": "b"}
    answer = client.post(
        "/api/user-sync/domain-map", headers=headers, json=body, params={"environment": MINE}
    )
    assert answer.status_code in (200, 201), answer.text
    number = answer.json()["id"]
    assert client.delete(f"/api/user-sync/domain-map/{number}", headers=headers).is_success


def test_a_persons_channels_are_not_those_of_a_weaker_token_that_they_made(
    client: TestClient, world: Database
) -> None:
    """A viewer's token of an admin would be told what admins are told, at any address."""
    with world.write() as session:
        made = service.add_account(session, SYSTEM, name="ann", role=Role.ADMIN, stored="none")
        ann = Actor(made.id, made.name, made.role, "user")
        raw = {
            role: api_tokens.add(session, ann, name=f"{role}s", role=role).raw
            for role in (Role.VIEWER, Role.ADMIN)
        }
    body = {"name": "x", "address": "https://receiver.example/hook", "personal": True}

    def add(role: Role) -> Any:
        headers = {"Authorization": f"Bearer {raw[role]}"}
        return client.post("/api/notifications/channels", headers=headers, json=body)

    refused = add(Role.VIEWER)
    assert refused.status_code == 403
    assert "may do less than ann" in refused.json()["detail"]
    assert add(Role.ADMIN).status_code == 201
