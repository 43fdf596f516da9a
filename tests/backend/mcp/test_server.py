"""The MCP server, asked by the SDK's own client: it looks, it asks, it never acts or decides."""

import asyncio
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from backend.changes import service as changes
from backend.connections import environments
from backend.core.access import PERMISSIONS, SYSTEM, Actor, Permission, Role
from backend.core.database import Database
from backend.mcp import server
from backend.models import SyncPlan, SyncRun
from tests.backend.user_sync.conftest import *  # noqa: F403 - the world of user sync
from tests.backend.user_sync.conftest import World

ROOT = Path(__file__).resolve().parents[3]
#: Who started the server at the command line.
ANN = Actor(0, "cli:ann", Role.ADMIN, "cli")


def ask(database: Database, tool: str, role: Role = Role.STEWARD, **arguments: Any) -> Any:
    """What the tool answers, as the client sees it."""

    async def call() -> Any:
        async with Client(server.build(database, server.actor(ANN, role))) as client:
            return await client.call_tool(tool, arguments)

    found = asyncio.run(call())
    return json.loads(found.content[0].text)


def test_its_tools_are_named_for_what_they_do(database: Database) -> None:
    async def names() -> list[str]:
        built = server.build(database, server.actor(ANN, Role.STEWARD))
        async with Client(built) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    found = asyncio.run(names())
    assert {"list_environments", "make_user_plan", "ask_to_tokenize", "show_change"} <= set(found)
    assert not [name for name in found if "approve" in name or "secret" in name]


def test_it_reads(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="dev")
    (found,) = ask(database, "list_environments")["items"]
    assert (found["name"], found["connections"]) == ("dev", {})


def test_a_plan_is_read_without_people_and_applying_it_waits(world: World) -> None:
    made = ask(world.database, "make_user_plan", environment=world.env)
    read = ask(world.database, "read_user_plan", plan_id=made["plan_id"])
    assert read["rows"]
    assert set(read["rows"][0]) == {"user_id", "status", "sets"}
    assert "@" not in json.dumps(read)

    answer = ask(world.database, "ask_to_apply_user_plan", plan_id=made["plan_id"])
    assert answer["status"] == "waiting"
    with world.database.read() as session:
        view = changes.get(session, SYSTEM, change_id=answer["change_id"])
        assert (view.requester, view.action) == ("mcp:ann", "user_sync.apply")
        assert session.query(SyncRun).count() == 0
        assert session.query(SyncPlan).count() == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("ask_to_ingest", {"dataset_urn": "urn:li:x"}, "ingestion:run:start"),
        ("show_change", {"change_id": 7}, "There is no change 7"),
        ("read_user_plan", {"plan_id": 7}, "7"),
    ],
)
def test_a_refusal_is_one_sentence(
    database: Database, tool: str, arguments: dict[str, Any], said: str
) -> None:
    assert said in ask(database, tool, **arguments)["detail"]


def test_what_is_no_request_is_refused_to_who_may_only_ask(database: Database) -> None:
    from backend.core import access
    from backend.core.errors import NotPermitted

    who = server.actor(ANN, Role.ADMIN)
    for permission in PERMISSIONS[Role.ADMIN]:
        if permission.value.endswith((":read", ":preview")):
            continue
        with pytest.raises(NotPermitted, match="may look and ask for changes only"):
            access.require(who, Permission(permission))


def test_started_with_a_token_it_is_that_token_with_its_limits() -> None:
    token = Actor(7, "agent", Role.VIEWER, "api_token", environments=frozenset({3}))
    who = server.actor(token, Role.ADMIN)
    assert (who.id, who.kind, who.role, who.environments) == (7, "api_token", Role.VIEWER, {3})
    assert who.ask_only


def test_over_stdin_and_stdout(tmp_path: Path) -> None:
    environment = {**os.environ, "PORTAL_DATA_DIR": str(tmp_path / "state")}
    subprocess.run(
        [sys.executable, "-m", "backend", "init"],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=120,
        capture_output=True,
    )

    async def call() -> Any:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "backend", "mcp"], env=environment, cwd=ROOT
        )
        async with Client(parameters) as client:
            return await client.call_tool("list_changes", {})

    found = json.loads(asyncio.run(call()).content[0].text)
    assert found == {"items": [], "next_cursor": None}


def test_who_may_not_see_alerts_is_told_so_and_not_that_there_are_none(database: Database) -> None:
    who = dataclasses.replace(
        server.actor(ANN, Role.STEWARD), only=frozenset({Permission.TOKENIZATION_READ})
    )

    async def call() -> Any:
        async with Client(server.build(database, who)) as client:
            return await client.call_tool("alerts", {})

    answer = json.loads(asyncio.run(call()).content[0].text)
    assert answer["error"] == "NotPermitted"
    assert "overview:health:read" in answer["detail"]
    assert ask(database, "alerts")["items"] == []


URN = "urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.customers,PROD)"
ARGUMENTS = {
    "read_user_plan": {"plan_id": 1},
    "preview_tokenization": {"dataset": URN},
    "resolve_ingestion": {"dataset_urn": URN},
    "show_change": {"change_id": 1},
    "withdraw_change": {"change_id": 1},
}


def _documented() -> dict[str, str]:
    """Of each tool in the guide's table the permission that it names."""
    page = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|.*\| (`.*?) \|$", page, re.MULTILINE)
    found: dict[str, str] = {}
    for tools, permissions in rows:
        named, needed = (re.findall(r"`([^`]+)`", text) for text in (tools, permissions))
        found |= dict(zip(named, needed * len(named) if len(needed) == 1 else needed, strict=True))
    return found


@pytest.mark.parametrize(("tool", "permission"), sorted(_documented().items()))
def test_each_tool_needs_the_permission_that_the_guide_names(
    database: Database, tool: str, permission: str
) -> None:
    every_other = PERMISSIONS[Role.ADMIN] - {Permission(permission)}
    who = dataclasses.replace(server.actor(ANN, Role.ADMIN), only=every_other)

    async def call() -> Any:
        async with Client(server.build(database, who)) as client:
            return await client.call_tool(tool, ARGUMENTS.get(tool, {}))

    answer = json.loads(asyncio.run(call()).content[0].text)
    assert answer["error"] == "NotPermitted", answer
    assert f"({permission})" in answer["detail"]
