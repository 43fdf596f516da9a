"""Who is answered before the body was read gets that answer, however much was on its way."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from auth import unread
from tests.fixtures.browser import PATIENCE

ANSWER = b"no stranger writes here"


async def refusing(scope: Any, _receive: Any, send: Any) -> None:
    """As the API refuses a write without a token."""
    head = [(b"content-length", b"%d" % len(ANSWER)), (b"x-path", scope["path"].encode())]
    await send({"type": "http.response.start", "status": 401, "headers": head})
    await send({"type": "http.response.body", "body": ANSWER})


@pytest.fixture
def port() -> Iterator[int]:
    """Of a real uvicorn."""
    config = uvicorn.Config(
        unread.Unread(refusing), port=0, lifespan="off", interface="asgi3", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def posted(port: int, length: int, sent: int) -> bytes:
    """What comes back, to the connection's end, once all of `sent` bytes were sent. Raises
    ConnectionResetError where the connection was reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE / 1000) as connection:
        head = (
            f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * sent)
        said = b""
        while part := connection.recv(65536):
            said += part
    return said


@pytest.mark.parametrize("length", [0, 1, 300_000, 2_000_000, 9_000_000])
def test_the_answer_arrives(port: int, length: int) -> None:
    for _ in range(5):
        assert posted(port, length, length).endswith(ANSWER)


def test_who_only_says_that_a_body_comes_is_answered_and_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "QUIET", 0.05)
    assert posted(port, 9_000_000, 1).endswith(ANSWER)


class Sender:
    """The server's side of a client that sends 1 MB at a time for ever. stall: seconds that the
    whole process stands still at each of them."""

    def __init__(self, pause: float = 0.0, stall: float = 0.0) -> None:
        self.taken, self.pause, self.stall = 0, pause, stall
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        await asyncio.sleep(self.pause)
        time.sleep(self.stall)
        self.taken += 1
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": True}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(self, guard: unread.Unread) -> None:
        scope = {"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
        await guard(scope, self.receive, self.send)

    @property
    def ended(self) -> bool:
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


def test_no_more_is_read_than_anybody_may_send() -> None:
    sender = Sender()
    asyncio.run(sender.ask(unread.Unread(refusing)))
    assert (sender.taken, sender.ended) == (10, True)


@pytest.mark.parametrize("stall", [0.0, 0.12])
def test_nobody_is_listened_to_for_longer_than_a_head_may_take(
    monkeypatch: pytest.MonkeyPatch, stall: float
) -> None:
    monkeypatch.setattr(unread, "SECONDS", 0.1)
    sender = Sender(pause=0.03, stall=stall)  # never quiet for long, and never at its end
    asyncio.run(sender.ask(unread.Unread(refusing)))
    assert sender.taken < 10
    assert sender.ended


def test_beyond_so_many_at_once_connections_just_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "AT_ONCE", 1)
    guard, first, second = unread.Unread(refusing), Sender(pause=0.01), Sender()

    async def both() -> None:
        asking = asyncio.create_task(first.ask(guard))
        while not first.taken:
            await asyncio.sleep(0)
        await second.ask(guard)
        assert (second.taken, second.ended) == (0, True)
        await asking

    asyncio.run(both())
    assert first.taken == 10


def test_a_body_that_was_read_is_not_waited_for() -> None:
    async def reading(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"all"
        await refusing(scope, receive, send)

    sent: list[Any] = []

    async def receive() -> Any:
        assert not sent
        return {"type": "http.request", "body": b"all", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"3")]}
    asyncio.run(unread.Unread(reading)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
