"""The routes that set and clear the session cookie, over real HTTP."""

import contextlib
import secrets
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.forms import local_path
from auth.paths import SIGN_IN_PATH, SIGN_OUT_PATH
from backend.accounts import sessions
from backend.core.database import Database, StateDatabaseDown


def post_ticket(visitor: httpx.Client, ticket: str, **more: str) -> httpx.Response:
    return visitor.post(SIGN_IN_PATH, data={"ticket": ticket, "next": "/", **more})


def session_cookie(answer: httpx.Response, name: str = "portal_session") -> SimpleCookie:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        if line.startswith(name):
            jar.load(line)
    return jar


def is_live(database: Database, raw: str) -> bool:
    with database.read() as session:
        return sessions.actor_for(session, raw) is not None


class TestSignIn:
    def test_a_ticket_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(
        self, visitor: httpx.Client, ticket: str, database: Database
    ) -> None:
        answer = post_ticket(visitor, ticket, next="/jobs?state=failed")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/jobs?state=failed"
        assert answer.headers["cache-control"] == "no-store"
        cookie = session_cookie(answer)["portal_session"]
        assert is_live(database, cookie.value)
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "strict"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""
        assert 0 < int(cookie["max-age"]) <= sessions.ABSOLUTE_TIMEOUT.total_seconds()

    def test_on_https_the_cookie_is_secure_and_bound_to_the_host(
        self, https_site: str, ticket: str
    ) -> None:
        answer = httpx.post(
            https_site + SIGN_IN_PATH,
            data={"ticket": ticket, "next": "/"},
            headers={"cookie": "__Host-portal_browser=nonce"},
        )
        cookie = session_cookie(answer, "__Host-portal_session")["__Host-portal_session"]
        assert cookie["secure"] is True
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""

    @pytest.mark.parametrize(
        "ticket",
        ["", "made-up", "x" * 4_000, secrets.token_urlsafe(32)],
        ids=["empty", "short", "long", "random"],  # the same in every xdist worker
    )
    def test_a_made_up_ticket_gives_no_cookie_and_leads_back_to_the_form(
        self, visitor: httpx.Client, ticket: str
    ) -> None:
        answer = post_ticket(visitor, ticket)
        assert answer.status_code == 303
        assert not session_cookie(answer)

    def test_a_ticket_serves_once(self, visitor: httpx.Client, ticket: str) -> None:
        assert session_cookie(post_ticket(visitor, ticket))
        assert not session_cookie(post_ticket(visitor, ticket))

    def test_a_ticket_planted_in_another_browser_signs_nobody_in(
        self, site: str, ticket: str
    ) -> None:
        answer = httpx.post(
            site + SIGN_IN_PATH,
            data={"ticket": ticket, "next": "/"},
            headers={"cookie": "portal_browser=of-the-victim"},
        )
        assert not session_cookie(answer)

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ],
    )
    def test_a_form_of_another_site_is_refused(
        self, visitor: httpx.Client, ticket: str, headers: dict[str, str]
    ) -> None:
        for path in (SIGN_IN_PATH, SIGN_OUT_PATH):
            answer = visitor.post(path, data={"ticket": ticket, "next": "/"}, headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
        assert session_cookie(post_ticket(visitor, ticket))

    def test_never_by_get_so_that_no_ticket_is_in_an_address(
        self, visitor: httpx.Client, ticket: str
    ) -> None:
        assert visitor.get(f"{SIGN_IN_PATH}?ticket={ticket}&next=/").status_code == 405
        assert visitor.get(SIGN_OUT_PATH).status_code == 405

    def test_every_sign_in_replaces_the_cookie_that_was_there(
        self, visitor: httpx.Client, ticket: str
    ) -> None:
        visitor.cookies.set("portal_session", "planted-by-somebody", domain="127.0.0.1")
        cookie = session_cookie(post_ticket(visitor, ticket))["portal_session"]
        assert cookie.value != "planted-by-somebody"

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"x" * 100_000, "application/x-www-form-urlencoded"),
            (b"--b\r\nbroken", "multipart/form-data; boundary=b"),
            (b"--b\r\nbroken", "multipart/form-data"),
            (b"a=1&" * 2_000, "application/x-www-form-urlencoded"),
            (b'{"ticket": 1}', "application/json"),
            (b"\xff\xfe=\xff", "application/x-www-form-urlencoded"),
        ],
    )
    def test_what_is_no_small_form_is_refused_kindly(
        self, visitor: httpx.Client, content: bytes, kind: str
    ) -> None:
        answer = visitor.post(SIGN_IN_PATH, content=content, headers={"content-type": kind})
        assert answer.status_code in (303, 400, 413)
        assert not session_cookie(answer)

    def test_an_endless_body_is_not_read(self, visitor: httpx.Client) -> None:

        def chunks() -> Iterator[bytes]:
            for _ in range(1_000):
                yield b"x" * 100_000

        with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            answer = visitor.post(SIGN_IN_PATH, content=chunks())
            assert answer.status_code == 413

    def test_says_so_when_the_state_database_is_away(
        self, visitor: httpx.Client, ticket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone() -> None:
            raise StateDatabaseDown("The portal's own database is not available right now.")

        with monkeypatch.context() as patch:
            patch.setattr("auth.routes.get_database", gone)
            answer = post_ticket(visitor, ticket)
        assert answer.status_code == 503
        assert "not available" in answer.text
        assert session_cookie(post_ticket(visitor, ticket))


class TestSignOut:
    def test_ends_the_session_on_the_server_and_clears_the_cookies(
        self, visitor: httpx.Client, ticket: str, database: Database
    ) -> None:
        raw = session_cookie(post_ticket(visitor, ticket))["portal_session"].value
        visitor.cookies.set("portal_session", raw, domain="127.0.0.1")
        visitor.cookies.set("_streamlit_user", "provider", domain="127.0.0.1")
        visitor.cookies.set("_streamlit_user_1", "provider", domain="127.0.0.1")
        answer = visitor.post(SIGN_OUT_PATH)
        assert answer.headers["location"] == "/"
        cleared = [line.split("=")[0] for line in answer.headers.get_list("set-cookie")]
        assert sorted(cleared) == ["_streamlit_user", "_streamlit_user_1", "portal_session"]
        assert all("max-age=0" in c.lower() for c in answer.headers.get_list("set-cookie"))
        assert not is_live(database, raw)

    def test_without_a_session_it_is_no_error(self, visitor: httpx.Client) -> None:
        assert visitor.post(SIGN_OUT_PATH).status_code == 303


class TestLocalPath:
    @pytest.mark.parametrize(
        "target",
        [
            "/",
            "/jobs",
            "/jobs?state=failed&by=a%20b",
            "/ingestion?dataset_urn=urn:li:dataset:(x,y)",
        ],
    )
    def test_keeps_addresses_of_the_portal(self, target: str) -> None:
        assert local_path(target) == target

    @pytest.mark.parametrize(
        "target",
        [
            "",
            "jobs",
            "//evil.example",
            "///evil.example",
            "//[evil",
            "//\uff0fevil",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\r\nset-cookie: a=b",
            " //evil.example",
            "/auth/sign-out",
            "/api/docs",
            "/" + "x" * 3_000,
        ],
    )
    def test_anything_else_becomes_the_first_page(self, target: str) -> None:
        assert local_path(target) == "/"

    @given(st.one_of(st.text(max_size=50), st.text("/\\.:@?#evl ", max_size=20)))
    def test_never_leads_to_another_site(self, target: str) -> None:
        home = "http://portal.example"
        reached = urlsplit(urljoin(home + "/x/", local_path(target)))
        assert (reached.scheme, reached.netloc) == ("http", "portal.example")
