"""A click in the moment in which a page's script draws itself anew, or ends, is not lost."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx
from streamlit.runtime.scriptrunner import script_runner as module
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests
from streamlit.runtime.state import SafeSessionState, SessionState
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from auth import current, reruns
from auth.reruns import PersonFirst
from backend.accounts import service, sessions
from backend.core import clock
from backend.core.access import SYSTEM, Role
from backend.core.database import Database

#: What the script below does in its first run, and where its runs have been.
world = SimpleNamespace(first=None, runs=[], of_timer=[])


def script() -> None:
    context = get_script_run_ctx()
    assert context is not None
    world.runs.append((context.page_script_hash, context.query_string))
    world.of_timer.append(reruns.is_of_timer())
    if len(world.runs) == 1:
        world.first()
        world.runs.append("went on")


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], LocalScriptRunner]:
    """Makes the one of a session that is on the page "here"."""
    monkeypatch.setattr(Runtime, "_instance", MagicMock())  # as for AppTest
    file = tmp_path / "page.py"
    file.write_text("from tests.auth import test_reruns\ntest_reruns.script()\n")
    world.runs, world.of_timer = [], []

    def make() -> LocalScriptRunner:
        session = SafeSessionState(SessionState(), lambda: None)
        pages = PagesManager(str(file), setup_watcher=False)
        return LocalScriptRunner(str(file), session, pages)

    return make


def run(made: LocalScriptRunner, first: Callable[[], Any], *clicks: RerunData) -> list[Any]:
    """What the session's runs were, when in the first one the clicks come, and then `first`."""

    def both() -> None:
        person = threading.Thread(target=lambda: [made.request_rerun(each) for each in clicks])
        person.start()
        person.join()
        first()

    world.first = both
    made.run(timeout=60, page_hash="here")
    return world.runs


THERE = RerunData(page_script_hash="there", query_string="a=1")
TIMER = RerunData(page_script_hash="here", fragment_id="part", is_auto_rerun=True)
BACK = RerunData(page_script_hash="here", query_string="b=2", is_history_navigation=True)


def nothing() -> None:
    """The script draws what is left of it."""
    st.empty()


@pytest.mark.parametrize(
    ("first", "clicks", "then"),
    [
        (st.rerun, [THERE], ("there", "a=1")),
        (st.rerun, [BACK], ("here", "b=2")),
        (st.stop, [THERE], ("there", "a=1")),
        (nothing, [THERE, TIMER], ("there", "a=1")),
    ],
    ids=["link and rerun", "back and rerun", "link and stop", "link and timer"],
)
def test_a_link_leads_where_it_leads(runner, monkeypatch, first, clicks, then) -> None:
    monkeypatch.setattr(module, "ScriptRequests", ScriptRequests)
    lost = run(runner(), first, *clicks)
    assert then not in lost, "Streamlit minds it by itself now: this module can go"
    world.runs = []
    monkeypatch.setattr(module, "ScriptRequests", PersonFirst)
    assert run(runner(), first, *clicks) == [("here", ""), then]


def test_a_script_that_leads_to_another_address_of_its_page_does_so_after_a_click(runner) -> None:
    def leads() -> None:
        context = get_script_run_ctx()
        assert context is not None
        context.query_string = "own=1"
        st.rerun()

    click = RerunData(page_script_hash="here", query_string="")
    assert run(runner(), leads, click) == [("here", ""), ("here", "own=1")]


TICK = replace(TIMER, fragment_id=None)  # the file of this test has no parts
CLICK = replace(TICK, is_auto_rerun=False)


@pytest.mark.parametrize(
    ("asked", "is_of_timer"),
    [([CLICK], False), ([TICK], True), ([CLICK, TICK], False), ([TICK, CLICK, TICK], False)],
    ids=["click", "timer", "click and timer", "click between"],
)
def test_a_run_is_nobodys_where_only_timers_asked_for_it(runner, asked, is_of_timer) -> None:
    run(runner(), nothing, *asked)
    assert world.of_timer == [False, is_of_timer]


@pytest.mark.parametrize("is_of_timer", [False, True])
def test_who_works_in_a_part_of_a_page_stays_signed_in(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_of_timer: bool
) -> None:
    """A dialog is one, and so is a plan that is ticked; what refreshes itself is nobody's work."""
    with database.write() as session:
        ann = service.add_account(session, SYSTEM, name="ann", role=Role.VIEWER, stored="none")
        raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
    monkeypatch.setattr(current, "raw_cookie", lambda: raw)
    monkeypatch.setattr(current, "is_part", lambda: True)
    monkeypatch.setattr(reruns, "is_of_timer", lambda: is_of_timer)
    start, step = clock.now(), sessions.IDLE_TIMEOUT / 2 + timedelta(minutes=1)
    for steps in range(1, 4):
        monkeypatch.setattr(clock, "now", lambda at=start + steps * step: at)
        last = current.signed_in()
    assert (last is None) is is_of_timer


def test_a_script_ends_where_it_says_so_although_a_part_of_it_is_asked_for(runner) -> None:
    """What stands behind a guard must not be drawn."""
    part = RerunData(page_script_hash="here", fragment_id="part")
    assert "went on" not in run(runner(), st.stop, part)


def test_a_session_that_ends_does_not_go_on_for_a_click(runner) -> None:
    made = runner()
    made.request_rerun(THERE)
    made.request_stop()
    assert not made.request_rerun(THERE)
    made.join()


PRESS = WidgetStates(widgets=[WidgetState(id="save", trigger_value=True)])


class Waits:
    """A session's runner which has not come to the press yet. asked: what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.requests = PersonFirst()
        self._scriptrunner = SimpleNamespace(_requests=self.requests)
        self.requests.request_rerun(RerunData(widget_states=PRESS))
        monkeypatch.setattr(reruns, "_request", lambda _self, state: self.asked.append(state))

    def click(self, what: str) -> None:
        reruns._request_in_turn(self, what)  # type: ignore[arg-type]

    async def until(self, asked: list[str]) -> None:
        async with asyncio.timeout(60):
            while self.asked != asked:
                await asyncio.sleep(0.001)


def test_what_comes_after_a_press_waits_until_that_was_carried_out(monkeypatch) -> None:
    monkeypatch.setattr(reruns, "PATIENCE", 600.0)
    session = Waits(monkeypatch)

    async def clicks() -> None:
        session.click("a link")
        session.click("another")
        assert session.requests.on_scriptrunner_ready().rerun_data.widget_states == PRESS
        await asyncio.sleep(0.05)
        assert session.asked == []
        session.requests.on_scriptrunner_ready()  # the run is over
        await session.until(["a link", "another"])
        session.click("a third")
        assert session.asked[2:] == ["a third"], "nothing waits any more"

    asyncio.run(clicks())


def test_what_cannot_be_begun_keeps_nothing_behind_it(monkeypatch) -> None:
    """No thread can be started at times; the page must answer to the next click all the same."""
    session = Waits(monkeypatch)

    def request(_self: object, state: str) -> None:
        if state == "in vain":
            raise RuntimeError("can't start new thread")
        session.asked.append(state)

    async def clicks() -> None:
        session.click("in vain")
        session.click("a link")
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        session.requests.on_scriptrunner_ready()
        session.requests.on_scriptrunner_ready()
        await session.until(["a link"])
        session.click("another")
        await session.until(["a link", "another"])

    monkeypatch.setattr(reruns, "_request", request)
    asyncio.run(clicks())


def test_a_press_whose_run_takes_long_is_not_waited_for_without_end(monkeypatch) -> None:
    monkeypatch.setattr(reruns, "PATIENCE", 0.1)
    session = Waits(monkeypatch)

    async def clicks() -> None:
        session.click("a link")
        await session.until(["a link"])

    asyncio.run(clicks())
    assert session.requests.is_pressed


def test_nothing_waits_for_a_field(monkeypatch) -> None:
    session = Waits(monkeypatch)
    typed = WidgetStates(widgets=[WidgetState(id="name", string_value="x")])
    session._scriptrunner._requests = field = PersonFirst()
    field.request_rerun(RerunData(widget_states=typed))
    session.click("a link")
    assert session.asked == ["a link"]


def test_every_session_of_the_portal_has_it() -> None:
    import app

    assert app.auth.reruns.PersonFirst is vars(module)["ScriptRequests"]
    assert AppSession.request_rerun is reruns._request_in_turn
