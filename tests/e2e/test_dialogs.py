"""Questions and popovers that the tour does not open: what axe says of them in both themes."""

import re
from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_tour import CUSTOMERS, PRICES
from tests.fixtures.browser import press, settle, violations
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Step = str | re.Pattern[str] | Callable[[Page], None]


def _way(name: str) -> Callable[[Page], None]:
    def choose(page: Page) -> None:
        page.get_by_role("dialog").get_by_role("radio", name=name).click()

    return choose


def _search(page: Page) -> None:
    page.keyboard.press("Control+k")


#: What the window's name holds → address, and the presses that open it.
WINDOWS: dict[str, tuple[str, tuple[Step, ...]]] = {
    "Go to": ("/glossary", (_search,)),
    "Leave the sandbox": ("/glossary", ("Leave sandbox …",)),
    "Pick a table": ("/tokenization", ("Pick a table …", _way("URN"))),
    "Replace the values": (f"/tokenization?dataset={CUSTOMERS}", (re.compile("^Tokenize .*"),)),
    "ingestion": (f"/ingestion?dataset_urn={PRICES}", ("Review …",)),
    "Forget": ("/connections?kind=postgres", (re.compile("^Forget the stored"),)),
    "Mount": ("/mounts?view=active", (re.compile("^Mount"),)),
}
#: Of popovers, which have no name, a button inside.
POPOVERS: dict[str, tuple[str, str]] = {
    "Add environment": ("/connections", "Add …"),
    "Save certificates": ("/connections", "Edit …"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_window_is_accessible(
    sandbox_portal: Portal, browser_page: Page, scheme: Literal["light", "dark"]
) -> None:
    page = browser_page
    page.emulate_media(color_scheme=scheme)
    sandbox_portal.sign_in(page)
    for name, (address, steps) in WINDOWS.items():
        page.goto(sandbox_portal.url + address)
        for step in steps:
            settle(page)
            step(page) if callable(step) else press(page, step)
        expect(page.get_by_role("dialog", name=re.compile(name))).to_be_visible()
        settle(page)
        assert violations(page) == [], name
    for inside, (address, button) in POPOVERS.items():
        page.goto(sandbox_portal.url + address)
        press(page, button)
        expect(page.get_by_role("button", name=inside)).to_be_visible()
        settle(page)
        assert violations(page) == [], inside
