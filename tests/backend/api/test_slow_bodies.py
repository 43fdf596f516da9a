"""Hundreds of clients that send one byte and wait stop nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from backend.accounts import api_tokens
from backend.api import bodies
from backend.api.app import create_app
from backend.api.lanes import WRITES_OF_A_TOKEN
from backend.core.access import SYSTEM, Role
from backend.core.database import Database


class Slow(httpx.AsyncByteStream):
    """One byte, then nothing until it is let go. read: how many have been asked for that byte."""

    read = 0

    def __init__(self, let_go: asyncio.Event) -> None:
        self._let_go = let_go

    async def __aiter__(self) -> Any:
        Slow.read += 1
        yield b"{"
        await self._let_go.wait()


@pytest.fixture
def token(database: Database) -> dict[str, str]:
    with database.write() as session:
        raw = api_tokens.add(session, SYSTEM, name="nightly", role=Role.OPERATOR).raw
    return {"Authorization": f"Bearer {raw}"}


def post(client: httpx.AsyncClient, headers: dict[str, str], content: Any) -> Any:
    json = {"content-type": "application/json", **headers}
    return client.post("/api/ingestion/run", headers=json, content=content)


@contextlib.asynccontextmanager
async def held(
    count: int, headers: dict[str, str]
) -> AsyncIterator[tuple[httpx.AsyncClient, list[asyncio.Task[httpx.Response]], asyncio.Event]]:
    """A client of the application, and so many slow bodies under way until the event is set."""
    let_go = asyncio.Event()
    transport = httpx.ASGITransport(app=create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://portal") as client:
        slow = [asyncio.create_task(post(client, headers, Slow(let_go))) for _ in range(count)]
        yield client, slow, let_go


@pytest.mark.parametrize("known", [False, True], ids=["strangers", "the same token"])
def test_three_hundred_slow_bodies_and_good_requests_go_on(
    database: Database, token: dict[str, str], monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(bodies, "DEADLINE", 3_600.0)
    monkeypatch.setattr(Slow, "read", 0)

    async def test() -> None:
        async with held(300, token if known else {}) as (client, slow, let_go):
            if known:
                while Slow.read < 300:
                    await asyncio.sleep(0)
            else:  # before a byte was read
                assert {each.status_code for each in await asyncio.gather(*slow)} == {401}
            good = await asyncio.gather(
                *(post(client, token, b"{}") for _ in range(3 * WRITES_OF_A_TOKEN))
            )
            assert {answer.status_code for answer in good} == {422}  # read, and looked at
            assert {task.done() for task in slow} == {not known}
            let_go.set()
            if known:
                assert {each.status_code for each in await asyncio.gather(*slow)} == {400}
            assert Slow.read == (300 if known else 0)

    asyncio.run(asyncio.wait_for(test(), 120))


def test_a_body_that_does_not_come_is_ended_by_the_deadline() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("a body that is not there was handed on")

    async def never() -> Any:
        await asyncio.Event().wait()

    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    scope: Any = {"type": "http", "method": "POST", "path": "/trigger", "headers": []}
    asyncio.run(bodies.Bodies(app, deadline=0.01)(scope, never, send))
    assert said[0]["status"] == 408
    assert b"did not come within 0.01 s" in said[1]["body"]
