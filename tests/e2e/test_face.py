"""What every page shares, seen in a browser: the drawer, the strip, the focus, what it costs."""

import re
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.test_tour import ATHENA
from tests.fixtures.browser import HeldAnswers, new_page, place, press, settle, tap, violations
from tests.fixtures.portal import PASSWORD, Portal

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
#: Pixels that a finger hits without looking.
THUMB = 44

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class TestDrawer:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_opens_at_its_address_and_leaves_the_list_where_it_was(
        self, portal: Portal, browser_page: Page, scheme: str
    ) -> None:
        page = browser_page
        page.emulate_media(color_scheme=scheme)
        portal.open(page, path="/audit?event=1")
        drawer = page.get_by_role("dialog", name="Event 1")
        expect(drawer).to_contain_text("No. 1,")
        settle(page)
        assert violations(page) == []
        page.keyboard.press("Escape")
        expect(drawer).to_have_count(0)
        expect(page).to_have_url(portal.url + "/audit")

    @pytest.mark.parametrize("view", ["operations", "runs"])
    def test_opens_over_lists_that_were_pages_long(
        self, sandbox_portal: Portal, browser_page: Page, view: str
    ) -> None:
        page = browser_page
        if view == "operations":
            (one, *_) = sandbox_portal.cli_json("mounts", "operations")["items"]
            number, address = one["operation_id"], "/mounts?view=operations&operation="
        else:
            arguments = ("--dataset-urn", ATHENA.format("financial_data.polygon_prices"))
            number = sandbox_portal.cli_json("ingest", "run", *arguments)["runId"]
            address = "/ingestion?view=runs&run="
        sandbox_portal.open(page, path=address + number)
        drawer = page.get_by_role("dialog", name=number[:8])
        expect(drawer).to_contain_text(number)
        settle(page)
        assert violations(page) == []
        page.keyboard.press("Escape")
        expect(drawer).to_have_count(0)
        expect(page).not_to_have_url(re.compile(number))
        expect(page.get_by_test_id("stDataFrame").filter(visible=True).first).to_be_visible()

    def test_steps_back_for_a_question_and_tells_what_came_of_it(
        self, portal: Portal, browser_page: Page
    ) -> None:
        page = browser_page
        portal.cli("accounts", "add", "drawn", "--role", "viewer", stdin=PASSWORD + "\n")
        ids = {each["name"]: each["id"] for each in portal.cli_json("accounts", "list")["items"]}
        portal.open(page, path=f"/accounts?account={ids['drawn']}")
        drawer = page.get_by_role("dialog", name="drawn")
        press(drawer, "Reset password")
        question = page.get_by_role("dialog", name="Reset the password of drawn?")
        press(question, "Reset password")
        expect(drawer).to_contain_text("it is shown only this once")
        press(drawer, "Disable")
        press(page.get_by_role("dialog", name="Disable drawn?"), "Disable")
        expect(drawer).to_contain_text("drawn is disabled")
        expect(drawer.get_by_role("button", name="Enable").last).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_button_that_cannot_be_pressed_yet_is_readable(
    sandbox_portal: Portal, browser_page: Page, scheme: Literal["light", "dark"]
) -> None:
    """The primary one, too, whose colour is the portal's own while it can be pressed."""
    page = browser_page
    page.emulate_media(color_scheme=scheme)
    plan = sandbox_portal.cli_json("users", "plan", "Sandbox")["plan_id"]
    sandbox_portal.open(page, path=f"/user-sync?plan={plan}")
    colour = "button => getComputedStyle(button).color"
    primary = page.get_by_role("button", name="Apply 0 ticked").last
    other = page.get_by_role("button", name="Untick").last
    expect(primary).to_be_disabled()
    expect(other).to_be_disabled()
    settle(page)
    assert primary.evaluate(colour) == other.evaluate(colour)


class TestPhone:
    @pytest.mark.parametrize("address", ["/audit", "/jobs", "/mounts"])
    def test_filters_wait_behind_their_switch(
        self, sandbox_portal: Portal, browser_page: Page, address: str
    ) -> None:
        page = browser_page
        sandbox_portal.open(page, path=address)
        switch = page.get_by_role("switch", name="Filters")
        fields = page.get_by_test_id("stMain").get_by_role("textbox")
        expect(fields.filter(visible=True).first).to_be_visible()
        expect(switch).to_have_count(0)  # a wide window needs none
        page.set_viewport_size({"width": 390, "height": 844})
        expect(switch).to_have_count(1)
        expect(fields.filter(visible=True)).to_have_count(0)
        assert violations(page) == []
        tap(page.locator("label", has=switch))
        expect(fields.filter(visible=True).first).to_be_visible()
        settle(page)
        assert violations(page) == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_rows_are_cards_under_the_thumb(
        self, sandbox_portal: Portal, browser: Browser, scheme: Literal["light", "dark"]
    ) -> None:
        page = new_page(browser, **PHONE, color_scheme=scheme)
        sandbox_portal.open(page, path="/audit")
        cards = page.locator("[class*=st-key-card-] button")
        expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
        settle(page)
        assert violations(page) == []
        box = place(cards.first)
        assert box["width"] > 0.9 * PHONE["viewport"]["width"]
        assert box["height"] >= THUMB
        said = cards.first.locator("strong").inner_text()
        tap(cards.first)
        drawer = page.get_by_role("dialog", name=re.compile("Event [0-9]+"))
        expect(drawer).to_contain_text(said)
        settle(page)
        assert violations(page) == []
        page.context.close()

    def test_what_is_small_is_hit_around_it(self, sandbox_portal: Portal, browser: Browser) -> None:
        plan = sandbox_portal.cli_json("users", "plan", "Sandbox")["plan_id"]
        page = new_page(browser, **PHONE)
        sandbox_portal.open(page, path=f"/user-sync?plan={plan}")
        expect(page.get_by_role("button", name="Tick all found").last).to_be_enabled()
        settle(page)
        menu = place(page.get_by_test_id("stExpandSidebarButton"))
        assert min(menu["width"], menu["height"]) >= THUMB
        target = page.locator("[class*=st-key-user_sync-tick] label").first
        box = place(target)
        assert min(box["width"], box["height"]) >= THUMB
        target.click(position={"x": 2, "y": box["height"] - 2})
        expect(page.get_by_role("button", name="Apply 1 ticked").last).to_be_enabled()
        page.context.close()


def test_the_menu_does_not_stay_over_the_page_in_a_narrow_window(
    sandbox_portal: Portal, browser_page: Page
) -> None:
    """Of a computer: of a phone Streamlit knows it."""
    page = browser_page
    page.set_viewport_size(PHONE["viewport"])
    sandbox_portal.open(page)
    tap(page.get_by_role("button", name="Expand sidebar"))
    menu = page.get_by_role("navigation", name="App pages")
    tap(menu.get_by_role("link", name="Audit log"))
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    expect(menu).not_to_be_visible()


class Drops(HeldAnswers):
    """What the server sends, one message at a time: each is drawn before the next one comes."""

    def deliver(self) -> None:
        self.wait_for_a_whole_run()
        for message in self._held:
            self._socket.send(message)
            self._page.evaluate(TWO_FRAMES)
        self._held.clear()


TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SHIFTS = """window.shifts = []
new PerformanceObserver(list => {
  for (const each of list.getEntries()) for (const source of each.sources)
    window.shifts.push([each.value, source.node?.textContent.slice(0, 60) ?? ""])
}).observe({type: "layout-shift", buffered: true})"""


@pytest.mark.parametrize("path", ["/", "/mounts", "/user-sync"])
def test_what_comes_in_late_pushes_nothing_down(
    sandbox_portal: Portal, browser: Browser, path: str
) -> None:
    """Neither what a page draws last nor an element whose code the browser has to fetch first."""
    page = new_page(browser, viewport=PHONE["viewport"])
    sandbox_portal.open(page, path="/glossary")
    page.add_init_script(SHIFTS)
    answers, code = Drops(page), list[Route]()
    answers.hold()
    page.route(re.compile(r"/static/js/ButtonGroup[.]"), lambda each: code.append(each))
    page.goto(sandbox_portal.url + path)
    answers.deliver()
    for each in code:
        each.continue_()
    answers.let_go()
    settle(page)
    moved = [each for each in page.evaluate("window.shifts") if each[0] > 0.01]
    page.context.close()
    assert moved == []
