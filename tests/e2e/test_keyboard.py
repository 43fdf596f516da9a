"""A steward without a mouse: sign in, go to a page, plan, tick, apply. The focus is always seen."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.fixtures.browser import PATIENCE, press, settle
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLOW = 2 * PATIENCE
EMAIL = "anna.kowalska@example.com"
MOST_STOPS = 150


def reach(page: Page, what: Locator) -> None:
    """Tab until `what` has the focus; it must look different from when it had not."""
    what.last.wait_for(state="attached", timeout=SLOW)
    settle(page)
    _, plain = looks(what)
    for _ in range(MOST_STOPS):
        # A page that is redrawn drops the focus for a moment.
        if what.last.evaluate("box => box.matches(':focus-visible')"):
            settle(page)
            focused, now = looks(what)
            if focused:
                assert now != plain, f"nobody sees that {what} has the focus"
                return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reached {what}")


def looks(what: Locator) -> tuple[bool, str]:
    """Whether the element has the focus, and how it and what is drawn around it look, once nothing
    moves any more. Both at once."""
    focused, look = what.last.evaluate(
        """async box => {
          const around = [box, box.parentElement, box.parentElement.parentElement,
                          ...box.parentElement.children]
          await new Promise(done => setTimeout(done, 350))
          return [box.matches(':focus-visible'), around.flatMap(each => {
            const style = getComputedStyle(each)
            return [style.outline, style.boxShadow, style.borderColor, style.backgroundColor]
          }).join(' ')]
        }"""
    )
    return focused, look


def test_one_job_from_sign_in_to_result(sandbox_portal: Portal, browser_page: Page) -> None:
    page, keys = browser_page, browser_page.keyboard
    name, password = sandbox_portal.account("steward")
    page.goto(sandbox_portal.url)
    expect(page.get_by_label("Username", exact=True)).to_be_focused()
    keys.type(name)
    reach(page, page.get_by_label("Password", exact=True))
    keys.type(password)
    keys.press("Enter")
    page.get_by_role("button", name="Sign out").first.wait_for()
    settle(page)
    keys.press("Control+k")
    expect(page.get_by_role("dialog").get_by_label("Search")).to_be_focused()
    keys.type("user sync")
    expect(page.get_by_role("dialog").get_by_role("button", name="Overview")).to_have_count(0)
    reach(page, page.get_by_role("dialog").get_by_role("button", name="User sync Shortcut"))
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1, name="User sync")).to_be_focused()

    reach(page, page.get_by_role("button", name="Plan now"))
    keys.press("Enter")
    page.wait_for_url("**plan=*")  # until then another test's plan may be on the page
    reach(page, page.get_by_role("checkbox", name=f"Apply to {EMAIL}"))
    keys.press("Space")
    reach(page, page.get_by_role("button", name="Apply 1 ticked"))
    keys.press("Enter")
    reach(page, page.get_by_role("dialog").get_by_role("button", name="Change 1 user"))
    keys.press("Enter")
    expect(page.get_by_role("button", name="Revert").last).to_be_visible(timeout=SLOW)

    keys.press("Escape")  # the run is in a drawer
    expect(page.get_by_role("dialog")).to_have_count(0)
    # The parts of a page are one stop for Tab; the arrow keys go from part to part.
    parts = page.get_by_role("radiogroup", name="Part of the page")
    reach(page, parts.get_by_role("radio", name="Plan"))
    for _ in ("History", "Directory and domains", "Settings"):
        keys.press("ArrowRight")
    settings = parts.get_by_role("radio", name="Settings")
    expect(settings.last).to_be_focused()
    keys.press("Enter")
    expect(page).to_have_url(re.compile("view=settings"))
    expect(settings.last).to_be_checked()


def test_what_is_said_beside_the_title_has_the_focus_and_moves_nothing(
    sandbox_portal: Portal, browser_page: Page
) -> None:
    """Who is about to tick a row of the new plan must not find another one under the pointer."""
    page = browser_page
    page.set_viewport_size({"width": 1280, "height": 500})  # the plan is longer than the window
    sandbox_portal.open(page, role="steward", path="/user-sync")
    press(page, "Plan now")
    said = page.get_by_text("Plan user changes: succeeded").last
    said.wait_for()
    page.wait_for_function(
        "said => document.activeElement.innerText.includes(said)"
        " && document.activeElement.innerText.length < 100",
        arg="Plan user changes: succeeded",
    )
    settle(page)
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 0
