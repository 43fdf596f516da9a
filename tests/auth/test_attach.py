"""Attaching to a Streamlit session: one's own goes on, another's in the handshake is dropped."""

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from auth import attach, uploads
from auth.headers import SecurityHeaders
from backend.accounts import sessions
from backend.core.database import Database

SESSION = "0d4d3f2e"


def asked_for(protocol: str, **cookies: str) -> str:
    """The session that Streamlit is asked for after the check; "" for a new one."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    scope: dict[str, Any] = {
        "type": "websocket",
        "headers": [
            (b"sec-websocket-protocol", protocol.encode()),
            (b"cookie", cookie.encode()),
        ],
        "subprotocols": protocol.split(", "),
    }
    kept = asyncio.run(attach.own_session_only(scope))
    said = dict(kept["headers"])[b"sec-websocket-protocol"].decode().split(", ")
    assert said == kept["subprotocols"]
    assert said[:2] == ["streamlit", "token"]
    return said[2] if len(said) > 2 else ""


@pytest.fixture
def cookie(database: Database, account_id: int) -> str:
    """The cookie of the person whose Streamlit session SESSION is."""
    attach.remember(SESSION, account_id=account_id, browser="nonce")
    with database.write() as session:
        return sessions.open_session(session, account_id=account_id, address="", user_agent="")


class TestAttach:
    def test_the_same_person_goes_on_also_in_a_new_session_of_theirs(self, cookie: str) -> None:
        assert asked_for(f"streamlit, token, {SESSION}", portal_session=cookie) == SESSION

    @pytest.mark.parametrize(
        "cookies",
        [
            {},
            {"portal_session": "made-up"},
            {"portal_browser": "nonce"},
            {"portal_browser": "other"},
        ],
    )
    def test_nobody_else_does(self, cookie: str, cookies: dict[str, str]) -> None:
        assert asked_for(f"streamlit, token, {SESSION}", **cookies) == ""

    def test_a_person_who_is_signed_out_does_not(self, cookie: str, database: Database) -> None:
        with database.write() as session:
            sessions.sign_out(session, cookie)
        assert asked_for(f"streamlit, token, {SESSION}", portal_session=cookie) == ""

    def test_a_strangers_own_browser_goes_on(self, database: Database) -> None:
        attach.remember("stranger", account_id=None, browser="nonce")
        assert asked_for("streamlit, token, stranger", portal_browser="nonce") == "stranger"
        assert asked_for("streamlit, token, stranger", portal_browser="other") == ""

    def test_a_session_that_nobody_knows_is_a_new_one(self, database: Database) -> None:
        assert asked_for("streamlit, token, unknown", portal_browser="nonce") == ""

    def test_a_handshake_without_one_stays_as_it_is(self, database: Database) -> None:
        assert asked_for("streamlit, token") == ""


class TestUploads:
    def upload(self, **cookies: str) -> tuple[int, str]:
        """What a file into SESSION is answered by the middleware, or by what stands behind it."""
        inner = PlainTextResponse("taken", 200)
        client = TestClient(SecurityHeaders(inner), cookies=cookies)
        answer = client.put(f"/_stcore/upload_file/{SESSION}/file", content=b"x")
        return answer.status_code, answer.text

    def test_only_the_person_sends_files_into_a_session(self, cookie: str) -> None:
        assert self.upload(portal_session=cookie) == (200, "taken")
        for cookies in ({}, {"portal_session": "made-up"}, {"portal_browser": "nonce"}):
            status, text = self.upload(**cookies)
            assert (status, text.startswith("This is not your session")) == (403, True)

    def test_a_stranger_sends_none_into_their_own_session(self, database: Database) -> None:
        attach.remember(SESSION, account_id=None, browser="nonce")
        status, text = self.upload(portal_browser="nonce")
        assert (status, text.startswith("This is not your session")) == (403, True)

    def test_a_person_who_has_signed_in_since_does(self, database: Database, cookie: str) -> None:
        assert self.upload(portal_browser="nonce", portal_session=cookie) == (200, "taken")

    def test_a_person_keeps_few_files_in_all_their_tabs(
        self, cookie: str, account_id: int, kept: MemoryUploadedFileManager
    ) -> None:
        attach.remember("tab", account_id=account_id, browser="nonce")
        for number in range(uploads.MOST):
            session_id = ("tab", SESSION)[number % 2]
            kept.add_file(session_id, UploadedFileRec(str(number), "a.csv", "text/csv", b"x"))
        assert self.upload(portal_session=cookie) == (429, uploads.SENTENCE)
        kept.add_file("of another", UploadedFileRec("1", "a.csv", "text/csv", b"x"))
        kept.remove_file("tab", "0")
        assert self.upload(portal_session=cookie) == (200, "taken")

    def test_files_on_their_way_count(self, cookie: str, kept: MemoryUploadedFileManager) -> None:
        with ExitStack() as stack:
            for _ in range(uploads.MOST):
                assert stack.enter_context(uploads.place(SESSION))
            assert self.upload(portal_session=cookie) == (429, uploads.SENTENCE)
        assert self.upload(portal_session=cookie) == (200, "taken")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> MemoryUploadedFileManager:
    """Streamlit's store of files, of a server that runs."""
    manager = MemoryUploadedFileManager(attach.UPLOADS)
    monkeypatch.setattr(Runtime, "exists", lambda: True)
    runtime = SimpleNamespace(uploaded_file_mgr=manager)
    monkeypatch.setattr(Runtime, "instance", lambda: runtime)
    return manager
