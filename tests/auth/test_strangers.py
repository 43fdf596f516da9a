"""Websockets of strangers: bounded per address and overall, small, paced, ended when silent; each
test names the guard that answered. Who is signed in is bounded by none of it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from auth import strangers
from auth.strangers import Pace, Strangers
from backend.accounts import sessions
from backend.core.database import Database
from tests.fixtures.browser import PATIENCE

NEVER = 3_600.0
SECONDS = PATIENCE / 1000


class Visit:
    """One websocket at the middleware, answered like uvicorn does; the page echoes."""

    def __init__(self, guard: Any, address: str, cookie: str) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said.put_nowait({"type": "websocket.connect"})
        headers = [(b"cookie", cookie.encode())] if cookie else []
        scope = {"type": "websocket", "client": (address, 1), "headers": headers}
        self.task = asyncio.ensure_future(guard(scope, self.said.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] in ("websocket.close", "websocket.http.response.body"):
            self.said.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.heard.put_nowait(message)

    async def hears(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.heard.get(), SECONDS)

    async def is_in(self) -> bool:
        """Whether the handshake was taken; what refused it otherwise is 429 and the sentence."""
        first = await self.hears()
        if first["type"] == "websocket.accept":
            return True
        assert (first["type"], first["status"]) == ("websocket.http.response.start", 429)
        assert (await self.hears())["body"].decode() == strangers.CROWDED
        return False

    async def says(self, data: bytes) -> bytes:
        self.said.put_nowait({"type": "websocket.receive", "bytes": data})
        return bytes((await self.hears())["bytes"])

    async def ended(self) -> str:
        """Waits for the end; its reason."""
        last = await self.hears()
        assert last["type"] == "websocket.close"
        await asyncio.wait_for(self.task, SECONDS)
        return str(last["reason"])


async def page(_scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


class Site:
    def __init__(self) -> None:
        self.guard = Strangers(page)
        self.visits: list[Visit] = []

    def open(self, address: str = "192.0.2.1", cookie: str = "") -> Visit:
        self.visits.append(Visit(self.guard, address, cookie))
        return self.visits[-1]

    async def opened(self, address: str = "192.0.2.1", cookie: str = "") -> Visit:
        visit = self.open(address, cookie)
        assert await visit.is_in()
        return visit


def at(test: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        site = Site()
        try:
            await test(site)
        finally:
            for visit in site.visits:
                visit.said.put_nowait({"type": "websocket.disconnect", "code": 1001})
            await asyncio.gather(*(visit.task for visit in site.visits))
        assert not site.guard._of, "places are left"

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "OF_AN_ADDRESS", 3)
    monkeypatch.setattr(strangers, "OF_ALL", 5)
    monkeypatch.setattr(strangers, "GRACE", 0.0)
    monkeypatch.setattr(strangers, "FIRST_MESSAGE_SECONDS", NEVER)


@pytest.fixture
def cookie(database: Database, account_id: int) -> str:
    with database.write() as session:
        raw = sessions.open_session(session, account_id=account_id, address="", user_agent="")
    return f'odd={{"a": [1]}}; portal_session={raw}'


class TestPlaces:
    def test_the_oldest_of_the_address_goes_for_the_newest(self) -> None:
        async def test(site: Site) -> None:
            first, second, third = [await site.opened() for _ in range(3)]
            fourth = await site.opened()
            assert await first.ended() == strangers.CROWDED
            assert [await visit.says(b"x") for visit in (second, third, fourth)] == [b"x"] * 3

        at(test)

    @pytest.mark.parametrize("other", ["192.0.2.2", "2001:db8:0:1::1"])
    def test_another_address_loses_nothing_by_it(self, other: str) -> None:
        async def test(site: Site) -> None:
            stays = await site.opened(other)
            for _ in range(9):
                await site.opened()
            assert await stays.says(b"x") == b"x"

        at(test)

    def test_one_network_of_ipv6_is_one_address(self) -> None:
        async def test(site: Site) -> None:
            crowd = [await site.opened(f"2001:db8::{n}") for n in range(1, 5)]
            assert await crowd[0].ended() == strangers.CROWDED

        at(test)

    def test_where_all_places_are_taken_the_most_crowded_address_gives_one(self) -> None:
        async def test(site: Site) -> None:
            alone = await site.opened("192.0.2.1")
            crowd = [await site.opened("192.0.2.2") for _ in range(2)]
            more = [await site.opened("192.0.2.3") for _ in range(2)]
            newest = await site.opened("192.0.2.4")
            assert await crowd[0].ended() == strangers.CROWDED
            assert [await each.says(b"x") for each in (alone, crowd[1], *more, newest)]

        at(test)

    def test_a_crowd_of_one_instant_is_told_to_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strangers, "GRACE", NEVER)

        async def test(site: Site) -> None:
            stays = [await site.opened() for _ in range(3)]
            assert not await site.open().is_in()
            assert [await visit.says(b"x") for visit in stays] == [b"x"] * 3

        at(test)

    def test_one_that_went_gives_its_place_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strangers, "GRACE", NEVER)

        async def test(site: Site) -> None:
            for _ in range(9):
                visit = await site.opened()
                visit.said.put_nowait({"type": "websocket.disconnect", "code": 1001})
                await visit.task

        at(test)


class TestWhoIsSignedIn:
    def test_is_not_counted_and_keeps_out_nobody(
        self, database: Database, cookie: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(strangers, "GRACE", NEVER)

        async def test(site: Site) -> None:
            crowd = [await site.opened() for _ in range(3)]
            assert not await site.open().is_in(), "the address is full"
            mine = [await site.opened(cookie=cookie) for _ in range(9)]
            assert [await visit.says(b"x") for visit in (*crowd, *mine)] == [b"x"] * 12

        at(test)

    @pytest.mark.parametrize(
        "made_up", ["portal_session=made-up", "portal_session=", "portal_browser=x", "=;;=,"]
    )
    def test_a_made_up_cookie_is_a_strangers(
        self, database: Database, made_up: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(strangers, "GRACE", NEVER)

        async def test(site: Site) -> None:
            for _ in range(3):
                await site.opened(cookie=made_up)
            assert not await site.open(cookie=made_up).is_in()

        at(test)

    def test_a_session_that_ended_is_a_strangers(
        self, database: Database, cookie: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(strangers, "OF_AN_ADDRESS", 1)
        monkeypatch.setattr(strangers, "GRACE", NEVER)
        with database.write() as session:
            sessions.sign_out(session, cookie.rpartition("portal_session=")[2])

        async def test(site: Site) -> None:
            await site.opened(cookie=cookie)
            assert not await site.open(cookie=cookie).is_in()

        at(test)


class TestSilence:
    def test_one_that_says_nothing_is_ended_with_the_reason(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(strangers, "FIRST_MESSAGE_SECONDS", 0.01)

        async def test(site: Site) -> None:
            visit = await site.opened()
            assert await visit.ended() == strangers.SILENT

        at(test)

    def test_one_that_said_something_may_stay(self) -> None:
        async def test(site: Site) -> None:
            visit = await site.opened()
            (guarded,) = site.guard._of["192.0.2.1"]
            assert not guarded._timer.cancelled()
            assert await visit.says(b"x") == b"x"
            assert guarded._timer.cancelled()

        at(test)

    def test_a_page_that_goes_on_speaking_to_one_that_was_ended_learns_of_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learned: list[str] = []

        async def speaks_on(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            with suppress(OSError):
                await send({"type": "websocket.send", "bytes": b"late"})
                learned.append("nothing")
            await send({"type": "websocket.close"})

        async def test(site: Site) -> None:
            site.guard.app = speaks_on
            visit = await site.opened()
            (guarded,) = site.guard._of["192.0.2.1"]
            guarded.end(strangers.SILENT)
            assert await visit.ended() == strangers.SILENT
            assert visit.heard.empty()

        at(test)
        assert not learned


class TestPace:
    def test_a_hundred_at_once_then_ten_a_second(self) -> None:
        pace = Pace()
        at_once = [pace.wait(1_000.0) for _ in range(strangers.AT_ONCE)]
        assert at_once == pytest.approx([0.0] * strangers.AT_ONCE, abs=1e-6)
        waits = [pace.wait(1_000.0) for _ in range(10)]
        assert waits == pytest.approx([n / strangers.A_SECOND for n in range(1, 11)])

    def test_who_rests_may_hurry_again(self) -> None:
        pace = Pace()
        for _ in range(200):
            pace.wait(1_000.0)
        assert pace.wait(1_000.0) > 0
        assert pace.wait(1_100.0) == pytest.approx(0.0, abs=1e-6)

    def test_nobody_waits_for_a_whole_flood(self) -> None:
        pace = Pace()
        waits = [pace.wait(1_000.0) for _ in range(100_000)]
        assert max(waits) == pytest.approx(strangers.LONGEST_WAIT)
        assert pace.wait(1_000.0 + 2 * strangers.LONGEST_WAIT) == pytest.approx(0.0, abs=1e-6)

    def test_the_strangers_of_an_address_share_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Pace] = []

        async def keep(self: Pace) -> None:
            asked.append(self)

        monkeypatch.setattr(Pace, "keep", keep)

        async def test(site: Site) -> None:
            for _ in range(2):
                visit = await site.opened()
                await visit.says(b"x")
                await visit.says(b"x")
            assert (len(asked), len(set(map(id, asked)))) == (6, 1)
            await site.opened("192.0.2.2")
            assert len(set(map(id, asked))) == 2

        at(test)

    def test_one_that_was_ended_while_it_waited_starts_no_page(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits = asyncio.Event()

        async def keep(_self: Pace) -> None:
            await waits.wait()

        monkeypatch.setattr(Pace, "keep", keep)

        async def test(site: Site) -> None:
            visit = site.open()
            while not site.guard._of:
                await asyncio.sleep(0)
            (guarded,) = site.guard._of["192.0.2.1"]
            guarded.end(strangers.SILENT)
            waits.set()
            assert await visit.ended() == strangers.SILENT

        at(test)


class TestBehindUvicorn:
    """What only the protocol can do: a size before a message is whole, an end for the deaf."""

    def serve(self, test: Callable[[str, Strangers], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            guard = Strangers(page)
            config = uvicorn.Config(
                guard, port=0, ws="websockets-sansio", lifespan="off", log_config=None
            )
            config.load()
            config.ws_protocol_class = strangers.telling(config.ws_protocol_class)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            try:
                await test(f"ws://127.0.0.1:{port}/", guard)
            finally:
                server.should_exit = True
                await serving

        asyncio.run(run())

    @pytest.mark.parametrize("fragments", [1, 3])
    def test_a_large_message_is_refused_before_it_is_whole(self, fragments: int) -> None:
        async def test(url: str, _guard: Strangers) -> None:
            part = b"x" * (strangers.MAX_MESSAGE // fragments)
            async with connect(url, open_timeout=SECONDS) as socket:
                await socket.send([part] * fragments if fragments > 1 else part)
                assert len(await asyncio.wait_for(socket.recv(), SECONDS)) == len(part) * fragments
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.send([part] * fragments + [b"one more"])
                    await asyncio.wait_for(socket.recv(), SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009

        self.serve(test)

    def test_one_that_reads_nothing_is_cut_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strangers, "_FAREWELL_SECONDS", 0.05)

        async def test(url: str, guard: Strangers) -> None:
            socket = await connect(url, open_timeout=SECONDS, max_queue=1, close_timeout=0)
            (guarded,) = guard._of["127.0.0.1"]
            transport = guarded._protocol.transport
            socket.transport.pause_reading()
            transport.write(b"x" * 50_000_000)  # no kernel takes that for a client that is deaf
            guarded.end(strangers.SILENT)
            while guard._of:
                await asyncio.sleep(0.01)
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == 0
            socket.transport.abort()

        self.serve(test)
