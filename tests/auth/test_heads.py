"""A request whose head never ends is ended; who sends one at once is never the one that pays."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from auth import heads
from tests.fixtures.browser import PATIENCE

NEVER = 3_600.0
GET = b"GET / HTTP/1.1\r\nHost: portal\r\n"
HANDSHAKE = (
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Served:
    """The guard around uvicorn's own protocol, on a port of this machine."""

    def __init__(self) -> None:
        self.port, self.state, self.let_go = 0, ServerState(), asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await self.let_go.wait()
            return
        if scope["path"] == "/slow":
            await self.let_go.wait()
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"ok"})

    async def open(self, data: bytes = b"", address: str = "127.0.0.1") -> "Client":
        known = set(self.state.connections)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(address, 0)
        )
        self.writers.append(writer)
        writer.write(data)
        while not (new := set(self.state.connections) - known):
            await asyncio.sleep(0)
        return Client(reader, writer, new.pop())


class Client(SimpleNamespace):
    def __init__(self, reader: Any, writer: Any, protocol: Any) -> None:
        super().__init__(reader=reader, writer=writer, protocol=protocol)

    async def read(self) -> bytes:
        """All until the server ends it."""
        return bytes(await asyncio.wait_for(self.reader.read(), PATIENCE / 1000))

    async def answer(self) -> bytes:
        return bytes(await asyncio.wait_for(self.reader.readuntil(b"ok"), PATIENCE / 1000))


@asynccontextmanager
async def _serving() -> AsyncIterator[Served]:
    served = Served()
    config = uvicorn.Config(
        served.app,
        ws="websockets-sansio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        timeout_keep_alive=int(NEVER),  # a machine that stands still for 5 s ends no test
    )
    config.load()
    guard = heads.bounded(config.http_protocol_class)
    server = await asyncio.get_running_loop().create_server(
        lambda: guard(config=config, server_state=served.state, app_state={}), "127.0.0.1", 0
    )
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        served.let_go.set()
        server.close()
        for writer in served.writers:
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.gather(*served.state.tasks, return_exceptions=True)
        while served.state.connections:
            await asyncio.sleep(0)


def serve(test: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with _serving() as served:
            await test(served)

    asyncio.run(run())


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the deadline of what begins from then on; never, until a test says so."""
    monkeypatch.setattr(heads, "SECONDS", NEVER)
    return lambda value: monkeypatch.setattr(heads, "SECONDS", value)


async def soon(client: Client, seconds: Callable[[float], None], left: float) -> None:
    """Of a head that has begun to come, so many seconds are left from now on: had they run since
    the connection was made, a machine that stands still might have ended it before its first byte.
    """
    while not client.protocol._begun:
        await asyncio.sleep(0)
    assert client.protocol._timer, "it has a deadline"
    client.protocol._stop()
    seconds(left)
    client.protocol._wait()


@pytest.mark.parametrize(
    "sent",
    [b"G", GET, GET + b"X: y\r\n", b"POST /trigger HTTP/1.1\r\nContent-Length: 9\r\n", HANDSHAKE],
    ids=["a byte", "half", "a field more", "a write", "a websocket"],
)
def test_a_head_that_does_not_end_is_told_and_ended(
    seconds: Callable[[float], None], sent: bytes
) -> None:
    async def test(served: Served) -> None:
        client = await served.open(sent)
        await soon(client, seconds, 0.05)
        answer = await client.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(heads._SENTENCE)

    serve(test)


def test_one_that_sends_nothing_is_ended_without_a_word(seconds: Callable[[float], None]) -> None:
    async def test(served: Served) -> None:
        seconds(0.05)
        assert await (await served.open()).read() == b""

    serve(test)


def test_a_byte_now_and_then_wins_no_time(seconds: Callable[[float], None]) -> None:
    async def test(served: Served) -> None:
        client = await served.open(GET)
        await soon(client, seconds, 0.3)
        timer = client.protocol._timer
        while not client.protocol.transport.is_closing():
            client.writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.01)
            assert client.protocol._timer in (timer, None), "begun anew"
        assert heads._SENTENCE in await client.read()

    serve(test)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (GET + b"\r\n", GET),
        (GET + b"Content-Length: 9\r\n\r\n1", b"2"),
    ],
    ids=["the next request's head", "the rest of a body after its answer"],
)
def test_what_comes_after_an_answer_has_a_deadline_too(
    seconds: Callable[[float], None], first: bytes, then: bytes
) -> None:
    async def test(served: Served) -> None:
        client = await served.open(first)
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        assert client.protocol._timer is None
        seconds(0.05)
        client.writer.write(then)
        assert heads._SENTENCE in await client.read()

    serve(test)


def test_what_has_ended_its_head_has_the_time_it_needs(seconds: Callable[[float], None]) -> None:
    async def test(served: Served) -> None:
        slow = await served.open(b"GET /slow HTTP/1.1\r\nHost: portal\r\n\r\n")
        socket = await served.open()
        socket.writer.write(HANDSHAKE + b"\r\n")
        assert b"101 Switching" in await asyncio.wait_for(socket.reader.readline(), PATIENCE / 1000)
        assert [slow.protocol._timer, socket.protocol._timer] == [None, None]
        assert slow.protocol.cycle is not None
        served.let_go.set()
        assert b"HTTP/1.1 200 " in await slow.answer()

    serve(test)


class TestManyOfOneAddress:
    @pytest.fixture(autouse=True)
    def _few(self, seconds: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(heads, "OF_AN_ADDRESS", 3)
        monkeypatch.setattr(heads, "GRACE", 0.0)

    def test_the_oldest_goes_and_who_sends_at_once_gets_in(self) -> None:
        async def test(served: Served) -> None:
            crowd = [await served.open(GET) for _ in range(3)]
            other = await served.open(GET, "127.0.0.2")
            good = await served.open(GET + b"\r\n")
            assert b"HTTP/1.1 200 " in await good.answer()
            assert heads._SENTENCE in await crowd[0].read()
            left = [*crowd[1:], other]
            assert [client.protocol.transport.is_closing() for client in left] == [False] * 3

        serve(test)

    def test_many_at_the_same_instant_are_no_crowd(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(heads, "GRACE", NEVER)

        async def test(served: Served) -> None:
            many = [await served.open() for _ in range(9)]
            for client in many:
                client.writer.write(GET + b"\r\n")
                assert b"HTTP/1.1 200 " in await client.answer()

        serve(test)

    def test_one_that_went_by_itself_is_counted_no_more(self) -> None:
        async def test(served: Served) -> None:
            for _ in range(9):
                gone = await served.open(GET)
                gone.writer.transport.abort()
                while gone.protocol in served.state.connections:
                    await asyncio.sleep(0.01)
            stays = [await served.open(GET) for _ in range(3)]
            assert [client.protocol.transport.is_closing() for client in stays] == [False] * 3

        serve(test)
