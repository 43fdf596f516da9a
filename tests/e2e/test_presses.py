"""Each job by keyboard alone, from the Overview to its result: how many presses it takes."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import test_tokenization_walk
from tests.fixtures.browser import PATIENCE, settle
from tests.fixtures.keys import Keys
from tests.fixtures.portal import Portal, own_sandbox_portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

visitors = test_tokenization_walk.visitors
# The jobs are done here, too: people are synced, and a table is tokenized and dropped.
sandbox_portal = own_sandbox_portal
SLOW = 2 * PATIENCE
#: At most half of what each took when it was first counted: 31, 97, 38, 67, 47, 35.
MOST = {"test": 15, "sync": 48, "mount": 19, "unmount": 33, "tokenize": 23, "ingest": 17}


@pytest.fixture
def keys(sandbox_portal: Portal, browser_page: Page) -> Keys:
    """On the Overview, signed in. The wide window is the one in which nothing is folded away."""
    browser_page.set_viewport_size({"width": 1440, "height": 900})
    sandbox_portal.open(browser_page)
    someone = Keys(browser_page)
    someone.wait_for_the_focus()
    return someone


def go(keys: Keys, letters: str, title: str) -> None:
    """To a page by the search, whose first entry is what the letters are meant for."""
    keys.press("Control+k")
    keys.page.get_by_role("dialog").get_by_label("Search").wait_for()
    keys.wait_for_the_focus()
    keys.find(letters)
    first = keys.page.get_by_role("dialog").get_by_role("button", name=f"{title} Shortcut")
    first.first.wait_for()
    keys.press("Control+Enter")
    keys.page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
    keys.wait_for_the_focus()


def dialog(keys: Keys, name: str) -> Locator:
    found = keys.page.get_by_role("dialog", name=re.compile(name)).last
    found.wait_for(timeout=SLOW)
    keys.wait_for_the_focus()
    return found


def button(place: Locator, name: str) -> Locator:
    """By what stands on it behind its icon."""
    return place.get_by_role("button", name=re.compile(f"(^| ){name}$"))


def seen(keys: Keys, text: str) -> None:
    keys.page.get_by_text(text).locator("visible=true").first.wait_for(timeout=SLOW)


def few(keys: Keys, job: str) -> None:
    assert keys.pressed <= MOST[job], f"{job} took {keys.pressed} presses"


def test_test_the_connections(keys: Keys) -> None:
    go(keys, "co", "Connections")
    keys.press("Control+Enter")
    seen(keys, "connections work")
    few(keys, "test")


def test_sync_a_user(keys: Keys, sandbox_portal: Portal) -> None:
    sandbox_portal.cli("users", "plan", "Sandbox")
    go(keys, "u", "User sync")
    keys.reach(keys.page.get_by_role("checkbox", name="Apply to").first)
    keys.press("Space")
    settle(keys.page)
    keys.press("Control+Enter")
    keys.reach(button(dialog(keys, "^Change 1 user"), "Change 1 user"))
    keys.press("Enter")
    keys.page.get_by_role("button", name="Revert").last.wait_for(timeout=SLOW)
    few(keys, "sync")


def test_mount_and_unmount(keys: Keys, sandbox_portal: Portal) -> None:
    go(keys, "m", "Mounts")
    keys.press("Control+Enter")
    asked = dialog(keys, "^Mount")
    keys.find("prod-eu")
    keys.press("Enter")
    keys.reach(asked.get_by_label("Host"))
    keys.fill_in("compute-07")
    keys.reach(asked.get_by_label("Backup job"))
    keys.fill_in("515151")
    keys.press("Control+Enter")
    seen(keys, "mounted successfully")
    few(keys, "mount")

    keys.page.goto(sandbox_portal.url)
    keys.page.get_by_role("heading", level=1, name="Overview").wait_for()
    keys.wait_for_the_focus()
    keys.pressed = 0
    go(keys, "m", "Mounts")
    keys.reach(keys.page.get_by_test_id("stDataFrame").first.locator("canvas").first)
    keys.press("Shift+Space")  # the newest, which is the one above
    dialog(keys, "^Entry ")
    keys.press("Control+Enter")
    asked = dialog(keys, "^Unmount backup job 515151")
    keys.reach(button(asked, "Unmount"))
    keys.press("Enter")
    seen(keys, "unmounted successfully")
    few(keys, "unmount")


def test_tokenize_a_column(keys: Keys, visitors: object) -> None:
    go(keys, "t", "Tokenization")
    keys.press("Control+Enter")
    expect(dialog(keys, "^Pick a table").get_by_role("combobox")).to_be_focused(timeout=SLOW)
    keys.find("vi")
    keys.press("Enter")
    settle(keys.page)
    keys.press("Control+Enter")
    columns = keys.page.get_by_test_id("stDataFrame").last.locator("canvas").first
    seen(keys, "Tick the columns that shall get tokens.")
    keys.wait_for_the_focus()
    keys.reach(columns)
    keys.press("Shift+Space")
    keys.page.get_by_text("1 column · 300 values").last.wait_for()
    keys.press("End", "Tab")  # out of the table, which keeps Ctrl+Enter to itself
    keys.press("Control+Enter")
    keys.reach(button(dialog(keys, "tokens"), "Tokenize now"))
    keys.press("Enter")
    seen(keys, "rows were changed")
    few(keys, "tokenize")


def test_ingest_a_dataset(keys: Keys) -> None:
    keys.press("Control+k")
    keys.page.get_by_role("dialog").get_by_label("Search").wait_for()
    keys.wait_for_the_focus()
    keys.find("poly")
    keys.page.get_by_role("button", name=re.compile("polygon_prices.* Shortcut")).first.wait_for()
    keys.press("Control+Enter")
    keys.page.get_by_role("heading", level=1, name="Ingestion", exact=True).wait_for()
    keys.wait_for_the_focus()
    keys.press("Control+Enter")
    keys.reach(button(dialog(keys, "^Run the ingestion"), "Start the run"))
    keys.press("Enter")
    seen(keys, "AWS accepted run")
    few(keys, "ingest")
