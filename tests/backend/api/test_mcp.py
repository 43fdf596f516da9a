"""MCP over HTTP, asked by the SDK's own client: the token's rights, and nothing but asking."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from backend.accounts import api_tokens
from backend.api.app import create_app
from backend.changes import service as changes
from backend.connections import environments
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from tests.backend.user_sync.conftest import *  # noqa: F403 - the world of user sync
from tests.backend.user_sync.conftest import World

Headers = dict[str, str]


@pytest.fixture
def url(database: Database) -> Iterator[str]:
    """The REST app on a port of its own, as a web server runs it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        running = uvicorn.Server(uvicorn.Config(create_app(), log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not running.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert running.started
        yield f"http://127.0.0.1:{port}/mcp"
        running.should_exit = True
        thread.join(timeout=60)


def asked(url: str, headers: Headers, use: Callable[[Client], Any]) -> Any:
    """What `use` finds with a client that sends these headers."""

    async def call() -> Any:
        async with (
            create_mcp_http_client(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await use(client)

    return asyncio.run(call())


def tool(url: str, headers: Headers, name: str, **arguments: Any) -> Any:
    found = asked(url, headers, lambda client: client.call_tool(name, arguments))
    return json.loads(found.content[0].text)


def token(database: Database, role: Role, **limits: Any) -> Headers:
    with database.write() as session:
        name = "-".join(["t", role, *limits])
        made = api_tokens.add(session, SYSTEM, name=name, role=role, **limits)
    return {"Authorization": f"Bearer {made.raw}"}


def test_it_lists_its_tools_and_reads(world: World, url: str) -> None:
    headers = token(world.database, Role.VIEWER)
    listed = asked(url, headers, lambda client: client.list_tools())
    assert "list_environments" in {each.name for each in listed.tools}
    (found,) = tool(url, headers, "list_environments")["items"]
    assert found["name"] == world.env


def test_what_it_asks_for_waits_and_bears_the_token_s_name(world: World, url: str) -> None:
    headers = token(world.database, Role.STEWARD)
    made = tool(url, headers, "make_user_plan", environment=world.env)
    waits = tool(url, headers, "ask_to_apply_user_plan", plan_id=made["plan_id"])
    assert waits["status"] == "waiting"
    with world.database.read() as session:
        view = changes.get(session, SYSTEM, change_id=waits["change_id"])
    assert (view.requester, view.requester_kind, view.needed) == ("t-steward", "api_token", 1)


def test_the_token_s_role_and_limits_hold(world: World, url: str) -> None:
    refused = tool(url, token(world.database, Role.VIEWER), "make_user_plan", environment=world.env)
    assert refused["error"] == "NotPermitted"
    assert "role viewer" in refused["detail"]
    limited = token(world.database, Role.STEWARD, actions=["tokenization"])
    refused = tool(url, limited, "make_user_plan", environment=world.env)
    assert "limited to other actions" in refused["detail"]
    with world.database.write() as session:
        environments.add(session, SYSTEM, name="far")
    far = token(world.database, Role.STEWARD, environments=["far"])
    refused = tool(url, far, "make_user_plan", environment=world.env)
    assert "limited to other environments" in refused["detail"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer spt_nonsense"}])
def test_a_stranger_is_refused_before_the_body_is_read(url: str, headers: Headers) -> None:
    found = httpx.post(url, headers=headers, content=b"not even JSON", timeout=60)
    assert found.status_code == 401
    assert found.json()["error"] == "NotAuthenticated"


def test_there_is_nothing_to_listen_to(world: World, url: str) -> None:
    found = httpx.get(url, headers=token(world.database, Role.VIEWER), timeout=60)
    assert found.status_code == 405
