"""Signing in and out in a real browser, against the real process."""

import re
import time

import httpx
import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import fill, press
from tests.fixtures.portal import PASSWORD, Portal

pytestmark = [pytest.mark.browser]


class TestSignIn:
    def test_who_types_in_the_second_field_is_not_moved_to_the_first(
        self, portal: Portal, browser_page: Page
    ) -> None:
        browser_page.goto(portal.url)
        password = browser_page.get_by_label("Password", exact=True)
        password.focus()
        browser_page.wait_for_timeout(3500)  # as long as the page looks after its focus
        expect(password).to_be_focused()

    def test_a_deep_link_survives_it(self, portal: Portal, browser_page: Page) -> None:
        portal.sign_in(browser_page, path="/jobs?state=failed")
        expect(browser_page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()
        expect(browser_page).to_have_url(re.compile(r"/jobs\?state=failed$"))

    def test_the_cookie_is_out_of_reach_of_scripts_and_no_secret_is_in_the_address(
        self, portal: Portal, browser_page: Page
    ) -> None:
        portal.sign_in(browser_page)
        cookies = {c["name"]: c for c in browser_page.context.cookies()}
        session = cookies["portal_session"]
        assert session["httpOnly"]
        assert session["sameSite"] in ("Strict", "Lax")
        assert session["value"] not in browser_page.evaluate("document.cookie")
        assert PASSWORD not in portal.log
        assert session["value"] not in portal.log

    def test_a_wrong_password_and_an_unknown_name_get_the_same_sentence(
        self, portal: Portal, browser_page: Page
    ) -> None:
        shown = []
        for name in ("admin", "nobody-of-that-name"):
            browser_page.goto(portal.url)
            browser_page.get_by_label("Username", exact=True).first.fill(name)
            browser_page.get_by_label("Password", exact=True).first.fill("wrong wrong wrong")
            press(browser_page, "Sign in")
            alert = browser_page.get_by_test_id("stAlert").first
            expect(alert).to_contain_text("wrong")
            shown.append(alert.inner_text())
        assert shown[0] == shown[1]

    def test_a_reload_keeps_the_session_and_sign_out_ends_it_on_the_server(
        self, portal: Portal, browser_page: Page
    ) -> None:
        portal.sign_in(browser_page)
        browser_page.reload()
        expect(browser_page.get_by_role("button", name="Sign out").last).to_be_visible()
        stolen = browser_page.context.cookies()
        press(browser_page, "Sign out")
        expect(browser_page.get_by_label("Password", exact=True).first).to_be_visible()
        browser_page.context.add_cookies(stolen)
        browser_page.goto(portal.url)
        expect(browser_page.get_by_label("Password", exact=True).first).to_be_visible()


class TestASecondFactor:
    def test_its_code_is_asked_for_after_the_password_and_opens_the_page_of_the_link(
        self, portal: Portal, browser_page: Page, second_page: Page
    ) -> None:
        portal.sign_in(browser_page, "steward", path="/profile")
        app = turn_second_factor_on(browser_page)
        page = second_page
        page.goto(portal.url + "/jobs?state=failed")
        name, password = portal.account("steward")
        fill(page, Username=name, Password=password)
        press(page, "Sign in")
        page.get_by_role("textbox", name="Code from your authenticator app").wait_for()
        fill(page, Code_from_your_authenticator_app="000000")
        press(page, "Go on")
        expect(page.get_by_test_id("stAlert").first).to_contain_text("The code is wrong")
        # The code of the next half minute: that of this one was used to set the app up.
        fill(page, Code_from_your_authenticator_app=app.at(int(time.time()) + 30))
        press(page, "Go on")
        expect(page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()
        expect(page).to_have_url(re.compile(r"/jobs\?state=failed$"))


def turn_second_factor_on(page: Page) -> pyotp.TOTP:
    press(page, "Set up", exact=True)
    shown = page.get_by_test_id("stCode").last
    shown.wait_for()
    app = pyotp.TOTP("".join(shown.inner_text().split()))
    fill(page, Code_from_the_app=app.now())
    press(page, "Turn on")
    press(page, "I have kept them")
    page.get_by_text("recovery codes left").first.wait_for()
    return app


class TestAPasswordAnAdminKnows:
    def test_is_changed_first_and_then_the_page_of_the_link_opens(
        self, portal: Portal, second_page: Page
    ) -> None:
        portal.cli("accounts", "add", "newcomer", "--role", "viewer", stdin=PASSWORD + "\n")
        made = portal.cli("accounts", "reset-password", "newcomer").stdout.split()[-1]
        page = second_page
        page.goto(portal.url + "/jobs")
        page.get_by_label("Username", exact=True).fill("newcomer")
        page.get_by_label("Password", exact=True).fill(made)
        press(page, "Sign in")
        expect(page.get_by_role("heading", name="Choose your own password").last).to_be_visible()
        expect(page.get_by_role("link", name="Overview")).to_have_count(0)
        page.get_by_label("Current password").fill(made)
        page.get_by_label("New password", exact=True).fill("a pass phrase of my own")
        page.get_by_label("New password once more").fill("a pass phrase of my own")
        press(page, "Change password")
        expect(page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()


class TestStart:
    def test_the_console_shows_no_warning_of_the_libraries(self, portal: Portal) -> None:
        assert "You can now view your Streamlit app" in portal.log
        assert "ScriptRunContext" not in portal.log
        assert "No runtime found" not in portal.log

    def test_an_address_of_the_api_without_its_slash_is_no_page(self, portal: Portal) -> None:
        answer = httpx.get(portal.url + "/api")
        assert answer.status_code == 404
        assert set(answer.json()) == {"error", "detail", "reference"}

    def test_nobody_else_may_read_what_it_keeps(self, portal: Portal) -> None:
        state = portal.folder / "state"
        open_to_others = [p for p in (state, *state.rglob("*")) if p.stat().st_mode & 0o077]
        assert open_to_others == []


class TestTwoBrowsers:
    def test_neither_sees_the_other(
        self, portal: Portal, browser_page: Page, second_page: Page
    ) -> None:
        portal.sign_in(browser_page, "admin")
        portal.sign_in(second_page, "viewer")
        expect(browser_page.get_by_text("Signed in as admin").last).to_be_visible()
        expect(second_page.get_by_text("Signed in as viewer-of-tests").last).to_be_visible()
        expect(second_page.get_by_role("link", name="Accounts")).to_have_count(0)

    def test_a_disabled_account_is_out_at_its_next_click(
        self, portal: Portal, second_page: Page
    ) -> None:
        portal.sign_in(second_page, "operator", path="/jobs")
        expect(second_page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()
        portal.cli("accounts", "disable", portal.account("operator")[0])
        second_page.get_by_label("Started by").first.fill("x")
        second_page.get_by_label("Started by").first.press("Enter")
        expect(second_page.get_by_label("Password", exact=True).first).to_be_visible()


class TestHeaders:
    def test_pages_and_api_carry_the_security_headers(
        self, portal: Portal, browser_page: Page
    ) -> None:
        for path in ("/", "/healthz", "/api/openapi.json"):
            answer = browser_page.request.get(portal.url + path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "referrer-policy" in answer.headers

    def test_no_page_breaks_its_own_content_security_policy(
        self, portal: Portal, browser_page: Page
    ) -> None:
        complaints: list[str] = []
        browser_page.on(
            "console",
            lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None,
        )
        portal.sign_in(browser_page, path="/jobs")
        expect(browser_page.get_by_role("heading", name="Runs", exact=True).last).to_be_visible()
        assert complaints == []
