"""What ends a session, seen from the browser that loses it; and who may open a websocket."""

import re
import socket

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import press, settle, tap
from tests.fixtures.portal import PASSWORD, Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def handshake(portal: Portal, **headers: str) -> str:
    """Status line of a websocket handshake with these headers."""
    lines = {
        "Host": f"localhost:{portal.port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec-WebSocket-Protocol": "streamlit",
        **headers,
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("localhost", portal.port), timeout=60) as connection:
        connection.sendall(f"GET /_stcore/stream HTTP/1.1\r\n{text}\r\n".encode())
        return connection.recv(200).decode(errors="replace").splitlines()[0]


class TestWebSocket:
    def test_opens_for_the_portals_own_pages_and_for_no_other_site(self, portal: Portal) -> None:
        assert "101" in handshake(portal, Origin=portal.url)
        for origin in (
            "https://evil.example",
            "null",
            f"http://localhost:{portal.port + 1}",
            f"http://127.0.0.1:{portal.port}",
            f"{portal.url}.evil.example",
        ):
            assert "403" in handshake(portal, Origin=origin), origin


class TestStolenPaths:
    @pytest.mark.parametrize(
        "path", ["/pages/accounts/page.py", "/accounts_page", "/_stcore/metrics", "/app/static/x"]
    )
    def test_no_address_answers_a_stranger_with_a_page_or_with_the_portals_files(
        self, portal: Portal, path: str
    ) -> None:
        answer = httpx.get(portal.url + path, headers={"accept": "text/html"})
        assert "guard.require" not in answer.text
        assert "portal_session" not in answer.text


class TestEnding:
    def test_an_admin_ends_a_session_and_its_next_click_meets_the_form(
        self, portal: Portal, browser_page: Page, second_page: Page
    ) -> None:
        portal.sign_in(second_page, "viewer", path="/jobs")
        expect(second_page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()
        portal.sign_in(browser_page, path="/accounts")
        table = browser_page.get_by_test_id("stDataFrame").first
        table.hover()
        expect(table.get_by_role("button", name="Search").last).to_be_visible()
        # Streamlit's own download escapes no formulas.
        expect(table.get_by_role("button", name="Download CSV")).to_be_hidden()
        tap(browser_page.get_by_role("radio", name="Live sessions").last)
        ends = browser_page.get_by_role("button", name="End")
        expect(ends.first).to_be_visible()
        settle(browser_page)  # all of them are drawn
        for left in reversed(range(ends.count())):
            tap(ends.first)
            expect(ends).to_have_count(left)
        second_page.get_by_label("Started by").first.fill("x")
        second_page.get_by_label("Started by").first.press("Enter")
        expect(second_page.get_by_label("Password", exact=True).first).to_be_visible()

    def test_changing_ones_password_ends_the_other_browser_and_not_this_one(
        self, portal: Portal, browser_page: Page, second_page: Page
    ) -> None:
        for page in (browser_page, second_page):
            portal.sign_in(page, "steward", path="/profile")
            expect(page.get_by_role("heading", name="My account").last).to_be_visible()
        browser_page.get_by_label("Current password", exact=True).first.fill(PASSWORD)
        browser_page.get_by_label("New password", exact=True).first.fill(
            "a new pass phrase of tests"
        )
        browser_page.get_by_label("New password once more").first.fill("a new pass phrase of tests")
        press(browser_page, "Change password")
        expect(browser_page.get_by_text(re.compile("1 other session")).last).to_be_visible()
        second_page.reload()
        expect(second_page.get_by_label("Password", exact=True).first).to_be_visible()
        browser_page.reload()
        expect(browser_page.get_by_role("button", name="Sign out").last).to_be_visible()

    def test_a_role_taken_away_in_an_open_tab_counts_at_the_next_action(
        self, portal: Portal, browser_page: Page
    ) -> None:
        portal.cli("accounts", "add", "second", "--role", "admin", stdin=PASSWORD + "\n")
        portal.accounts["second admin"] = "second"
        portal.sign_in(browser_page, "second admin", path="/accounts")
        tap(browser_page.get_by_text("Add an account").last)
        settle(browser_page)  # its fields are there before the role goes
        portal.cli("accounts", "role", "second", "viewer")
        browser_page.get_by_label("Name", exact=True).first.fill("mallory")
        press(browser_page, "Add account")
        expect(browser_page.get_by_role("heading", name="Accounts")).to_have_count(0)
        names = {item["name"] for item in portal.cli_json("accounts", "list")["items"]}
        assert "mallory" not in names


class TestGuessing:
    def test_is_slowed_down_with_a_sentence_that_says_how_long(
        self, portal: Portal, browser_page: Page
    ) -> None:
        browser_page.goto(portal.url)
        browser_page.get_by_label("Username", exact=True).first.fill("somebody")
        said: list[str] = []
        while len(said) < 12 and "Wait" not in " ".join(said):
            browser_page.get_by_label("Password", exact=True).first.fill(f"wrong wrong {len(said)}")
            press(browser_page, "Sign in")
            settle(browser_page)
            said.append(browser_page.get_by_test_id("stAlert").first.inner_text())
        # The first wait is 5 s, which may be over before the next try; each is twice the last.
        assert len(said) > 5
        assert all("wrong." in each for each in said[:-1])
        assert "Wait" in said[-1]
        assert "wrong wrong" not in portal.log
