"""What a script draws waits a moment for what comes next; its end waits for nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import ScriptRunnerEvent as Event

from auth import pieces

NEVER = 600.0


class Session:
    """handled: what has reached the browser's queue; woken: how often the server was."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.woken = 0

    def _handle_scriptrunner_event_on_event_loop(
        self, _sender: None, event: Event, message: ForwardMsg | None = None, *_rest: Any
    ) -> None:
        if message is not None and message.delta.new_element.markdown.body == "bad":
            raise ValueError("bad")
        self.handled.append(message.WhichOneof("type") or "" if message else event.value)

    def _call_soon_on_event_loop(self, callback: Callable[[], None]) -> None:
        self.woken += 1
        asyncio.get_running_loop().call_soon(callback)

    def draw(self, text: str = "", by: Callable[..., None] = pieces._keep) -> None:
        message = ForwardMsg()
        message.delta.new_element.markdown.body = text
        by(self, None, Event.ENQUEUE_FORWARD_MSG, forward_msg=message)

    def say(self, event: Event, message: ForwardMsg | None = None) -> None:
        pieces._keep(self, None, event, message)  # type: ignore[arg-type]


async def a_while() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def session() -> Session:
    return Session()


def test_what_is_drawn_goes_with_the_end_of_its_script_in_order(session, monkeypatch) -> None:
    monkeypatch.setattr(pieces, "MOMENT", NEVER)

    async def script() -> None:
        session.say(Event.SCRIPT_STARTED)
        session.draw()
        session.draw()
        await a_while()
        assert session.handled == []
        session.say(Event.SCRIPT_STOPPED_WITH_SUCCESS)
        await a_while()
        assert session.woken == 2

    asyncio.run(script())
    assert session.handled == [
        Event.SCRIPT_STARTED.value,
        "delta",
        "delta",
        Event.SCRIPT_STOPPED_WITH_SUCCESS.value,
    ]


def test_a_script_that_takes_long_shows_what_it_has(session, monkeypatch) -> None:
    monkeypatch.setattr(pieces, "MOMENT", 0.0)

    async def script() -> None:
        for shown in (1, 2):
            session.draw()
            async with asyncio.timeout(60):
                while len(session.handled) < shown:
                    await asyncio.sleep(0.001)

    asyncio.run(script())
    assert session.handled == ["delta", "delta"]


def test_an_address_goes_at_once_with_what_came_before_it(session, monkeypatch) -> None:
    monkeypatch.setattr(pieces, "MOMENT", NEVER)
    address = ForwardMsg()
    address.page_info_changed.query_string = "a=1"

    async def script() -> None:
        session.draw()
        session.say(Event.ENQUEUE_FORWARD_MSG, address)
        await a_while()
        session.draw()

    asyncio.run(script())
    assert session.handled == ["delta", "page_info_changed"]


def test_what_cannot_be_handled_takes_nothing_along(session, monkeypatch) -> None:
    monkeypatch.setattr(pieces, "MOMENT", NEVER)

    async def script() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        session.draw("bad")
        session.draw("good")
        session.say(Event.SCRIPT_STOPPED_WITH_SUCCESS)
        await a_while()

    asyncio.run(script())
    assert session.handled == ["delta", Event.SCRIPT_STOPPED_WITH_SUCCESS.value]


def test_streamlit_wakes_the_server_for_each_element(session) -> None:
    """Else auth/pieces.py is needless."""

    async def script() -> None:
        for _ in range(3):
            session.draw(by=pieces._streamlits)

    asyncio.run(script())
    assert session.woken == 3


def test_every_session_of_the_portal_has_it() -> None:
    import app

    assert AppSession._on_scriptrunner_event is app.auth.pieces._keep
