"""Work first: where a list begins, how many clicks a job takes, and that nothing jumps meanwhile.

The portal is this module's own: it tokenizes what others want to find as it was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pages.shared import tables
from pages.shell.registry import PAGES
from tests.fixtures.browser import (
    PATIENCE,
    box_of,
    fill,
    new_page,
    place,
    press,
    settle,
    tap,
    tick_first_row,
    wait_for_rows,
    wait_until_above,
)
from tests.fixtures.portal import Portal, running_portal

#: The first test starts a portal with its sandbox.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

SLOW = 2 * PATIENCE  # milliseconds; a first call imports a vendor's SDK
LAPTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
TOUCHED = {"has_touch": True, "is_mobile": True}
#: Pixels from the top of the window to the first row of a work list.
FIRST_ROW = 320
#: Of a table, which is a canvas: the height of its header and of each row.
HEADER = 35
#: How the pointer looks there, once the canvas has seen it.
POINTER = "([x, y]) => getComputedStyle(document.elementFromPoint(x, y)).cursor"
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
#: Chrome's own measure of what jumped while a page was drawn; 0.1 is called good.
SHIFT = 0.1
WATCH_SHIFTS = """
  window.shifts = [];
  new PerformanceObserver(list => {
    for (const each of list.getEntries()) window.shifts.push(each.value)
  }).observe({type: "layout-shift", buffered: true})
"""

LISTS = {
    "mounts": "/mounts",
    "orphans": "/mounts?view=orphans",
    "tokenization": "/tokenization",
    "ingestion": "/ingestion",
    "changes": "/changes",
    "runs": "/jobs",
    "audit": "/audit",
}
TITLES = [page.title for page in PAGES if page.listed]


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A sandbox with a plan of user changes."""
    with running_portal(tmp_path_factory.mktemp("reach"), PORTAL_SANDBOX="on") as portal:
        portal.wait_for_sandbox()
        portal.cli("users", "plan", "Sandbox")
        yield portal


@pytest.fixture(scope="module")
def asked(lived_in: Portal) -> None:
    """A change that waits for an approval."""
    policy = ("changes", "policy", "set", "Sandbox", "user_sync.apply", "approve")
    lived_in.cli(*policy, "--above", "2")
    plan = lived_in.cli_json("users", "plan", "Sandbox")["plan_id"]
    emails = [f"--email={name}@example.com" for name in ("dana.fox", "lena.novak", "anna.kowalska")]
    lived_in.cli("users", "apply", str(plan), *emails, "--yes", check=False)
    assert lived_in.cli_json("changes", "list")["items"], "nothing waits"


@pytest.fixture(scope="module")
def page(lived_in: Portal, browser: Browser) -> Iterator[Page]:
    """An admin's window, signed in once for the module."""
    page = new_page(browser, viewport=LAPTOP)
    page.add_init_script(WATCH_SHIFTS)
    lived_in.open(page)
    yield page
    page.context.close()


def open_at(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    settle(page)


def test_the_diff_of_a_plan_is_the_page(lived_in: Portal, page: Page) -> None:
    open_at(page, lived_in.url + "/user-sync")
    wait_until_above(page.get_by_role("checkbox", name="Apply to").first, FIRST_ROW)


def test_on_a_phone_the_diff_begins_in_its_upper_half_and_what_waits_for_ticks_takes_one_line(
    lived_in: Portal, page: Page, browser: Browser
) -> None:
    signed_in = page.context.storage_state()
    phone = new_page(browser, storage_state=signed_in, viewport=PHONE, **TOUCHED)
    open_at(phone, lived_in.url + "/user-sync")
    wait_until_above(phone.get_by_role("checkbox", name="Apply to").first, PHONE["height"] / 2)
    first, last = (phone.get_by_role("button", name=each) for each in ("Ignore", "Tick all found"))
    assert abs(place(first)["y"] - place(last)["y"]) <= 1
    assert place(first)["y"] > PHONE["height"] * 0.9
    phone.context.close()


@pytest.mark.usefixtures("asked")
def test_the_diff_is_the_page_while_a_change_waits_too(lived_in: Portal, page: Page) -> None:
    open_at(page, lived_in.url + "/user-sync")
    expect(page.get_by_role("link", name=re.compile("change [0-9]+"))).to_be_visible()
    wait_until_above(page.get_by_role("checkbox", name="Apply to").first, FIRST_ROW)


@pytest.mark.usefixtures("asked")
def test_the_diff_stays_the_page_under_a_message(lived_in: Portal, page: Page) -> None:
    open_at(page, lived_in.url + "/user-sync")
    press(page, "Ignore …")
    fill(page, Why="It is meant to be so")
    press(page, "Ignore it")
    message = page.get_by_text("The difference is ignored until it changes")
    expect(message.locator("visible=true").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("link", name=re.compile("change [0-9]+"))).to_be_visible()
    settle(page)
    wait_until_above(page.get_by_role("checkbox", name="Apply to").first, FIRST_ROW)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("name", LISTS)
def test_a_work_list_begins_within_the_first_third(lived_in: Portal, page: Page, name: str) -> None:
    open_at(page, lived_in.url + LISTS[name])
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for(timeout=SLOW)
    wait_until_above(table, FIRST_ROW - HEADER)


def test_nothing_jumps_from_page_to_page(lived_in: Portal, page: Page) -> None:
    """Also not right after the click, which Chrome forgives."""
    open_at(page, lived_in.url)
    found: dict[str, float] = {}
    for _ in range(2):  # a page's first visit imports what it needs
        for title in TITLES:
            page.evaluate("window.shifts.length = 0")
            tap(page.get_by_role("link", name=title, exact=True).first)
            page.get_by_role("heading", level=1, name=title, exact=True).wait_for(timeout=SLOW)
            settle(page)
            page.evaluate(TWO_FRAMES)  # what was seen is told after the frame
            found[title] = sum(page.evaluate("window.shifts"))
    assert {title: shift for title, shift in found.items() if shift > SHIFT} == {}


#: However slow the machine is, the time in which nothing is shown too early does not end.
PATIENT_FIRST_FRAME = """
  document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style")
    style.textContent = ".stApp {animation-play-state: paused !important}"
    document.head.append(style)
  })
"""


@pytest.mark.parametrize("address", ["/", "/user-sync", "/mounts", "/ingestion", "/audit"])
def test_nothing_jumps_while_a_page_is_loaded(lived_in: Portal, page: Page, address: str) -> None:
    """What the layout makes jump jumps at each load; a frame that came late jumps at one."""
    found: list[float] = []
    while len(found) < 4 and min(found, default=1) > SHIFT:
        other = page.context.new_page()  # signed in, too
        # Each by itself: into how many frames the rest is divided depends on the machine.
        found.append(max(_shifts(other, lived_in.url + address), default=0))
    assert min(found) <= SHIFT, found


@pytest.mark.parametrize("address", ["/", "/user-sync", "/mounts", "/audit", "/accounts"])
def test_nothing_jumps_on_a_slow_phone(
    lived_in: Portal, page: Page, browser: Browser, address: str
) -> None:
    """All of it together: on a slow processor each step of the way has a frame of its own."""
    held = new_page(browser, storage_state=page.context.storage_state(), viewport=PHONE, **TOUCHED)
    found: list[float] = []
    while len(found) < 3 and min(found, default=1) > SHIFT:
        other = held.context.new_page()
        slowed = held.context.new_cdp_session(other)
        slowed.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        found.append(sum(_shifts(other, lived_in.url + address)))
    held.context.close()
    assert min(found) <= SHIFT, found


def _shifts(other: Page, address: str) -> list[float]:
    """What jumped while this new window loaded the page, which it closes."""
    other.add_init_script(WATCH_SHIFTS)
    other.add_init_script(PATIENT_FIRST_FRAME)
    open_at(other, address)
    other.evaluate(TWO_FRAMES)
    found: list[float] = other.evaluate("window.shifts")
    other.close()
    return found


def test_a_table_has_just_the_room_that_it_needs(lived_in: Portal, page: Page) -> None:
    """Its height is reckoned before the browser draws it (`pages.shared.tables.height`)."""
    open_at(page, lived_in.url + "/accounts")
    table = page.get_by_test_id("stDataFrame").first.locator(".dvn-scroller")
    table.wait_for(timeout=SLOW)
    hidden, spare = table.evaluate(
        "box => [box.scrollHeight - box.clientHeight,"
        " box.clientHeight - box.querySelector('.dvn-stack').clientHeight]"
    )
    assert hidden <= 0, "it scrolls"
    assert spare < tables.height(2) - tables.height(1), "there is room for one more row"


@dataclass
class Hand:
    """One that clicks, and counts. It waits for what it is to click, as a person does."""

    page: Page
    clicks: list[str] = field(default_factory=list)

    def click(self, what: Locator) -> None:
        what.wait_for(timeout=SLOW)
        settle(self.page)
        what.click()
        self.clicks.append(str(what))

    def go_to(self, title: str) -> None:
        self.click(self.page.get_by_role("link", name=title, exact=True).first)
        expect(self.page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()

    def press(self, name: str | re.Pattern[str]) -> None:
        self.click(self.page.get_by_role("button", name=name).last)

    def press_in_first_row(self, table: Locator) -> None:
        """The button of the last column: the table is a canvas, so the pointer looks for it."""
        table.wait_for(timeout=SLOW)
        settle(self.page)
        wait_for_rows(table)
        box = place(table)
        x, y = box["x"] + box["width"], box["y"] + HEADER * 3 / 2
        for left in range(10, 400, 10):
            self.page.mouse.move(x - left, y)
            self.page.evaluate(TWO_FRAMES)
            if self.page.evaluate(POINTER, [x - left, y]) == "pointer":
                break
        else:
            raise AssertionError("no button in the first row")
        self.page.mouse.down()
        self.page.mouse.up()
        self.clicks.append("the first row's button")


@pytest.fixture
def hand(lived_in: Portal, page: Page) -> Hand:
    """On the Overview."""
    open_at(page, lived_in.url)
    return Hand(page)


def test_all_connections_are_tested_with_two_clicks(hand: Hand) -> None:
    hand.go_to("Connections")
    hand.press("Test all")
    expect(hand.page.get_by_text("connections work").last).to_be_visible(timeout=SLOW)
    assert len(hand.clicks) <= 2


def test_a_dataset_is_ingested_with_three(hand: Hand) -> None:
    hand.go_to("Ingestion")
    hand.press_in_first_row(hand.page.get_by_test_id("stDataFrame").first)
    hand.press("Start the run")
    expect(hand.page.get_by_text("AWS accepted run").first).to_be_visible(timeout=SLOW)
    assert len(hand.clicks) <= 3


def test_an_entry_is_released_from_its_row_with_three(hand: Hand) -> None:
    hand.go_to("Mounts")
    hand.press_in_first_row(hand.page.get_by_test_id("stDataFrame").first)
    expect(hand.page.get_by_role("dialog", name=re.compile("^Unmount backup job"))).to_be_visible()
    assert "entry=" not in hand.page.url, "the drawer stays closed"
    hand.press(re.compile("^(Unmount|Release)$"))
    expect(hand.page.get_by_role("dialog")).to_have_count(0, timeout=SLOW)
    expect(hand.page.get_by_text("unmount", exact=False).first).to_be_visible(timeout=SLOW)
    assert len(hand.clicks) <= 3


def test_users_are_synchronised_with_four(hand: Hand) -> None:
    hand.go_to("User sync")
    hand.click(box_of(hand.page, "Apply to").first)
    hand.press("Apply 1 ticked")
    hand.press("Change 1 user")
    expect(hand.page.get_by_role("button", name="Revert").last).to_be_visible(timeout=SLOW)
    assert len(hand.clicks) <= 4


def test_a_table_is_tokenized_with_four(hand: Hand) -> None:
    hand.go_to("Tokenization")
    hand.press_in_first_row(hand.page.get_by_test_id("stDataFrame").first)
    hand.press(re.compile(r"Tokenize [\d,]+ rows"))
    hand.press("Tokenize now")
    expect(hand.page.get_by_text("rows were changed.").locator("visible=true").first).to_be_visible(
        timeout=SLOW
    )
    assert len(hand.clicks) <= 4


def test_a_target_is_mounted_with_four(hand: Hand) -> None:
    page = hand.page
    hand.go_to("Mounts")
    hand.press("Mount …")
    dialog = page.get_by_role("dialog").last
    hand.click(dialog.get_by_role("combobox", name=re.compile("Target")).last)
    page.keyboard.type("s3-prod-eu")
    page.keyboard.press("Enter")
    fill(dialog, Host="compute-07")  # with Tab from field to field
    dialog.get_by_label("Backup job").first.fill("515151")
    dialog.get_by_label("Backup job").first.press("Tab")
    settle(page)
    hand.click(dialog.get_by_role("button", name="Mount").last)
    expect(page.get_by_text("mounted successfully").first).to_be_visible(timeout=SLOW)
    assert len(hand.clicks) <= 4


def test_an_alert_is_put_aside_with_one(hand: Hand) -> None:
    hand.press_in_first_row(hand.page.get_by_test_id("stDataFrame").first)
    told = hand.page.get_by_text("Show 1 alert that you have seen")
    expect(told.locator("visible=true").first).to_be_visible(timeout=SLOW)
    assert len(hand.clicks) == 1


def test_an_alert_is_opened_without_a_mouse(hand: Hand) -> None:
    """No key presses a button in a table's cell: the chosen row's are below it, too."""
    page = hand.page
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for(timeout=SLOW)
    tick_first_row(table)
    button = page.get_by_role("button", name="Open", exact=True).last
    button.focus()
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile(r":\d+/?$"))
