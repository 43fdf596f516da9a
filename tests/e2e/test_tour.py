"""Every page in a real browser: drawn without an error, accessible, at each width and theme.

With SCREENSHOTS_FOLDER=<folder> the pages are also photographed; `make screenshots` puts the
pictures of the documentation into docs/images.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from pages.shell.registry import PAGES
from pages.shell.registry import Page as PortalPage
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = {"phone": (390, 844), "laptop": (1360, 860), "wide": (2200, 1200)}
SEVERE = {"serious", "critical"}


ATHENA = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.{},PROD)"
CUSTOMERS = "urn:li:dataset:(urn:li:dataPlatform:postgres,tokenize.public.customers,PROD)"


#: Addresses at which a page shows more than its empty state.
ADDRESSES = {
    "tokenization_page.py": f"/tokenization?dataset={quote(CUSTOMERS)}",
    "ingestion_page.py": f"/ingestion?dataset_urn={quote(ATHENA.format('marketing.campaigns'))}",
    "mounts_page.py": "/mounts?view=active",
}


@pytest.fixture(scope="module")
def lived_in(sandbox_portal: Portal) -> Portal:
    """The sandbox after some work, so that the pages have something to show."""
    sandbox_portal.cli("users", "plan", "Sandbox")
    for name in ("financial_data.us_stocks_sip_v2", "financial_data.polygon_prices"):
        sandbox_portal.cli("ingest", "run", "--dataset-urn", ATHENA.format(name))
    return sandbox_portal


@pytest.fixture(scope="module")
def signed_in(sandbox_portal: Portal, browser: Browser) -> Iterator[dict[str, Any]]:
    """The storage of an admin's browser, signed in once for the module."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(45_000)
    sandbox_portal.sign_in(page)
    state: dict[str, Any] = {"storage_state": context.storage_state()}
    yield state
    context.close()


def _open(portal: Portal, page: Page, what: PortalPage) -> None:
    page.set_default_timeout(45_000)
    page.goto(portal.url + ADDRESSES.get(what.file, f"/{what.url_path}"))
    expect(page.get_by_role("heading", name=what.title, exact=True, level=1)).to_be_visible()
    settle(page)


def settle(page: Page) -> None:
    """Until the script of the page has run to its end and nothing is greyed out any more."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(page.locator("[data-stale=true]")).to_have_count(0)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def _shoot(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS_FOLDER")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture(scope="module")
def window(browser: Browser, signed_in: dict[str, Any]) -> Iterator[Page]:
    """One signed-in window for the whole tour."""
    context = browser.new_context(**signed_in)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("what", PAGES, ids=lambda page: page.file.removesuffix("_page.py"))
def test_page_is_drawn_accessible_and_fits_every_screen(
    lived_in: Portal, window: Page, what: PortalPage
) -> None:
    complaints: list[str] = []
    window.on(
        "console",
        lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None,
    )
    window.emulate_media(color_scheme="light")
    _resize(window, "laptop")
    _open(lived_in, window, what)
    expect(window.get_by_test_id("stException")).to_have_count(0)
    expect(window.get_by_text("Something went wrong")).to_have_count(0)
    assert complaints == []
    name = what.file.removesuffix("_page.py")
    _shoot(window, name)
    assert _violations(window) == []
    for size in ("phone", "wide"):
        _resize(window, size)
        settle(window)
        assert _overflow(window) <= 1, size
    _resize(window, "laptop")
    window.emulate_media(color_scheme="dark")
    settle(window)
    if name == "overview":
        _shoot(window, f"{name}-dark")
    assert _violations(window) == []


def _resize(page: Page, size: str) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})


def _overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def _violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    return [
        f"{violation['id']}: {node['html'][:300]} {node['target']}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in SEVERE
        for node in violation["nodes"]
    ]


class TestMovingAbout:
    def test_back_and_reload_show_the_same_page_again(
        self, sandbox_portal: Portal, browser: Browser, signed_in: dict[str, Any]
    ) -> None:
        context = browser.new_context(**signed_in)
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.goto(f"{sandbox_portal.url}/jobs?state=failed")
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text("Background jobs")
        page.get_by_role("link", name="Mounts").click()
        expect(heading).to_have_text("Mounts")
        page.go_back()
        expect(heading).to_have_text("Background jobs")
        page.reload()
        expect(heading).to_have_text("Background jobs")
        context.close()

    def test_sign_in_and_a_page_switch_work_with_the_keyboard_alone(
        self, sandbox_portal: Portal, browser: Browser
    ) -> None:
        name, password = sandbox_portal.account("viewer")
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.goto(sandbox_portal.url)
        page.get_by_label("Username", exact=True).wait_for()
        _tab_to(page, "Username")
        page.keyboard.type(name)
        _tab_to(page, "Password")
        page.keyboard.type(password)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Sign out").wait_for()
        for _ in range(40):
            page.keyboard.press("Tab")
            if "Connections" in page.evaluate("document.activeElement.innerText || ''"):
                break
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Connections")
        context.close()


def _tab_to(page: Page, label: str) -> None:
    for _ in range(20):
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == label:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reached {label}")
