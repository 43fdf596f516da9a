"""Every page in a real browser: drawn, accessible, whole on each screen, the same after Back.

The pictures of the documentation are taken by test_pictures.py.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from pages.shell.registry import PAGES
from tests.fixtures.browser import PATIENCE, new_page, settle, tap, turn, violations
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LAPTOP = {"width": 1360, "height": 860}
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1920, "height": 1080}

ATHENA = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.{},PROD)"
PRICES = quote(ATHENA.format("financial_data.polygon_prices"))
CUSTOMERS = quote("urn:li:dataset:(urn:li:dataPlatform:postgres,tokenize.public.customers,PROD)")


@dataclass(frozen=True)
class View:
    """A page as an address opens it. shows: widget → what it holds there, "" for a view that is
    only chosen; the widget of a view is its radio button. picture: its name in docs/images.
    """

    file: str
    address: str
    shows: tuple[tuple[str, str], ...] = ()
    picture: str = ""

    @property
    def id(self) -> str:
        return self.address.lstrip("/").split("%3A")[0] or "overview"


VIEWS = (
    View("overview/page.py", "/", picture="overview"),
    View("changes/page.py", "/changes", picture="changes"),
    View("changes/page.py", "/changes?view=policy", (("Policy", ""),)),
    View("notifications/page.py", "/notifications", picture="notifications"),
    View("notifications/page.py", "/notifications?view=channels", (("Channels", ""),)),
    View("user_sync/page.py", "/user-sync?view=plan&text=fox", (("E-mail or name", "fox"),)),
    View("user_sync/page.py", "/user-sync", picture="user_sync"),
    View("user_sync/page.py", "/user-sync?view=history", (("History", ""),)),
    View("user_sync/page.py", "/user-sync?view=settings", (("Settings", ""),)),
    View("mounts/page.py", "/mounts?view=active", (("Active", ""),), picture="mounts"),
    View(
        "mounts/page.py",
        "/mounts?view=history&host=compute-05&mounted=no",
        (("History", ""), ("Host", "compute-05")),
    ),
    View("mounts/page.py", "/mounts?view=orphans", (("Orphans", ""),)),
    View("mounts/page.py", "/mounts?view=operations", (("Operations", ""),)),
    View("tokenization/page.py", f"/tokenization?dataset={CUSTOMERS}", picture="tokenization"),
    View("tokenization/page.py", "/tokenization?view=runs", (("Runs", ""),)),
    View("tokenization/page.py", "/tokenization?view=check", (("Compare with DataHub", ""),)),
    View("ingestion/page.py", f"/ingestion?dataset_urn={PRICES}", picture="ingestion"),
    View("ingestion/page.py", "/ingestion?view=runs&by=cli", (("Asked by", "cli"),)),
    View("ingestion/page.py", "/ingestion?view=mapping", (("Mapping", ""),)),
    View("ingestion/page.py", "/ingestion?view=datahub", (("DataHub", ""),)),
    View("connections/page.py", "/connections", picture="connections"),
    View("connections/page.py", "/connections?environment=Sandbox&kind=postgres"),
    View("jobs/page.py", "/jobs", picture="jobs"),
    View("jobs/page.py", "/jobs?state=failed&by=cli", (("Started by", "cli"),)),
    View("accounts/page.py", "/accounts", picture="accounts"),
    View("accounts/page.py", "/accounts?view=sessions", (("Live sessions", ""),)),
    View("accounts/page.py", "/accounts?view=tokens", (("API tokens", ""),)),
    View("accounts/page.py", "/accounts?view=roles", (("Roles", ""),)),
    View("audit/page.py", "/audit", picture="audit"),
    View("audit/page.py", "/audit?by=admin&outcome=succeeded", (("By", "admin"),)),
    View("system/page.py", "/system", picture="system"),
    View("profile/page.py", "/profile", picture="profile"),
    View("glossary/page.py", "/glossary"),
)
TITLES = {page.file: page.title for page in PAGES}


def test_the_tour_leads_to_every_page() -> None:
    assert {view.file for view in VIEWS} == set(TITLES)
    listed = {page.file for page in PAGES if page.listed}
    assert {view.file for view in VIEWS if view.picture} == listed


#: The sandbox's connections, each of which is tested once.
TESTED = 7


def live_in(portal: Portal) -> Portal:
    """Some work, so that the pages have something to show: always in the same order, though the
    sandbox tests its connections beside what is asked of it."""
    tests = ("audit", "list", "--action", "connections:connection:test")
    deadline = time.monotonic() + 240
    while len(portal.cli_json(*tests)["items"]) < TESTED:
        assert time.monotonic() < deadline, "the sandbox's connections were not tested"
        time.sleep(1)
    portal.cli("users", "plan", "Sandbox")
    for name in ("financial_data.us_stocks_sip_v2", "financial_data.polygon_prices"):
        portal.cli("ingest", "run", "--dataset-urn", ATHENA.format(name))
    return portal


@pytest.fixture(scope="module")
def lived_in(sandbox_portal: Portal) -> Portal:
    """The sandbox after some work, so that the pages have something to show."""
    return live_in(sandbox_portal)


@pytest.fixture(scope="module")
def signed_in(lived_in: Portal, browser: Browser) -> dict[str, Any]:
    """The storage of an admin's browser, signed in once for the module."""
    page = new_page(browser)
    lived_in.open(page)
    state: dict[str, Any] = {"storage_state": page.context.storage_state()}
    page.context.close()
    return state


@pytest.fixture(scope="module")
def window(browser: Browser, signed_in: dict[str, Any]) -> Iterator[Page]:
    """One signed-in window on a laptop for the whole tour."""
    page = new_page(browser, viewport=LAPTOP, **signed_in)
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, signed_in: dict[str, Any]) -> Iterator[Page]:
    """The same person's phone."""
    page = new_page(browser, viewport=PHONE, has_touch=True, is_mobile=True, **signed_in)
    yield page
    page.context.close()


def visit(portal: Portal, page: Page, view: View) -> None:
    page.goto(portal.url + view.address)
    arrived(page, view)


def arrived(page: Page, view: View) -> None:
    """The page of this view is there, with everything that the address says."""
    heading = page.get_by_role("heading", name=TITLES[view.file], exact=True, level=1)
    expect(heading).to_be_visible()
    settle(page)
    for label, value in view.shows:
        if value:
            # A select box says beside its value how many rows it has.
            held = re.compile(rf"{re.escape(value)}( \(\d+\))?$")
            expect(page.get_by_label(label).first).to_have_value(held)
        else:
            chosen = page.get_by_test_id("stMain").get_by_role("radio", name=label, exact=True)
            expect(chosen.first).to_be_checked()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.id)
class TestEveryView:
    def test_is_drawn_accessible_in_both_themes_and_the_same_after_back_and_reload(
        self, lived_in: Portal, window: Page, view: View
    ) -> None:
        """One test, because a browser's loading of a page is what it costs: three become two, of
        which the reload is one in a wide window.
        """
        complaints: list[str] = []

        def listen(message: Any) -> None:
            if "Content Security Policy" in message.text:
                complaints.append(message.text)

        window.on("console", listen)
        window.set_viewport_size(LAPTOP)  # no other test has to have been there before
        window.emulate_media(color_scheme="light")
        visit(lived_in, window, view)
        address = window.url
        expect(window.get_by_test_id("stException")).to_have_count(0)
        expect(window.get_by_text("Something went wrong")).to_have_count(0)
        assert fits(window) == (0, [])
        assert violations(window) == []
        turn(window, "dark")
        assert violations(window) == []

        elsewhere = "My account" if view.file != "profile/page.py" else "Overview"
        tap(window.get_by_role("link", name=elsewhere, exact=True).last)
        heading = window.get_by_role("heading", name=elsewhere, exact=True, level=1)
        expect(heading).to_be_visible()
        settle(window)
        window.go_back()
        arrived(window, view)
        expect(window).to_have_url(address)

        window.set_viewport_size(WIDE)
        window.reload()
        arrived(window, view)
        expect(window).to_have_url(address)
        assert fits(window) == (0, [])
        window.remove_listener("console", listen)
        assert complaints == []

    def test_is_whole_on_a_phone(self, lived_in: Portal, phone: Page, view: View) -> None:
        visit(lived_in, phone, view)
        assert fits(phone) == (0, [])


def fits(page: Page) -> tuple[int, list[str]]:
    """(0, []) once everything has its place: what was just drawn is laid out a moment later."""
    deadline = time.monotonic() + PATIENCE / 1000
    while (found := (overflow(page), cut_off(page))) != (0, []) and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    return found


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window; what is scrolled inside a box is fine."""
    return int(
        page.evaluate(
            """() => Math.max(0, ...[...document.querySelectorAll(
                'html, [data-testid=stMain], .stSidebar:not([data-collapsed=true]) > div')]
                .map(box => box.scrollWidth - box.clientWidth - 1))"""
        )
    )


def cut_off(page: Page) -> list[str]:
    """Words of which a part is hidden: ended by dots, clipped by their own box, or choices that are
    out of sight beside others."""
    found: list[str] = page.evaluate(
        """() => [...[...document.querySelectorAll(
            '[data-testid=stMain] :is(h1, h2, h3, p, label, button, li, summary, [role=tab],'
            + ' [data-testid=stMetricValue] *, [data-testid=stMetricLabel] *)')]
          .filter(box => box.checkVisibility() && box.clientWidth
            && getComputedStyle(box).overflowX !== 'visible'
            && !['auto', 'scroll'].includes(getComputedStyle(box).overflowX)
            && box.scrollWidth > box.clientWidth + 1),
          ...[...document.querySelectorAll('[data-testid=stMain] .stButtonGroup [role=radiogroup]')]
          .filter(box => box.scrollWidth > box.clientWidth + 1)]
          .map(box => box.innerText.slice(0, 80))"""
    )
    return found
