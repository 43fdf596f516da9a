"""Questions and popovers that the tour does not open: what axe says of them in both themes."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.e2e import test_tokenization_walk
from tests.e2e.test_changes import let_sign_ins_grow_old
from tests.e2e.test_tour import PRICES
from tests.fixtures.browser import PATIENCE, press, settle, tap, tick_first_row, violations_in_both
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Of the sandbox's own tables another test may have left nothing to tokenize.
visitors = test_tokenization_walk.visitors
VISITORS = quote(test_tokenization_walk.URN)

Step = str | re.Pattern[str] | Callable[[Page], None]


def _way(name: str) -> Callable[[Page], None]:
    def choose(page: Page) -> None:
        tap(page.get_by_role("dialog").get_by_role("radio", name=name))

    return choose


def _item(name: str) -> Callable[[Page], None]:
    def choose(page: Page) -> None:
        tap(page.get_by_role("menuitem", name=name))

    return choose


def _first_column(page: Page) -> None:
    told = page.get_by_text("Tick the columns that shall get tokens.")
    expect(told.last).to_be_visible(timeout=2 * PATIENCE)  # a first call imports a vendor's SDK
    tick_first_row(page.get_by_test_id("stDataFrame").last)


def _search(page: Page) -> None:
    page.keyboard.press("Control+k")


#: What the window's name holds → address, and the presses that open it. In braces: what `_seen`
#: finds in the sandbox.
WINDOWS: dict[str, tuple[str, tuple[Step, ...]]] = {
    "Go to": ("/glossary", (_search,)),
    "Leave the sandbox": ("/glossary", ("Leave sandbox …",)),
    "Pick a table": ("/tokenization", ("Pick a table …", _way("URN"))),
    "Replace the values": (
        f"/tokenization?dataset={VISITORS}",
        (_first_column, "Tokenize 300 rows"),
    ),
    "ingestion": (f"/ingestion?dataset_urn={PRICES}", ("Review …",)),
    "Forget": ("/connections?kind=postgres", (re.compile("^Forget the stored"),)),
    "Mount": ("/mounts?view=active", (re.compile("^Mount"),)),
    "Unmount backup job": ("/mounts?view=active&entry={mounted}", ("Unmount …",)),
    "Verify backup job": ("/mounts?view=active&entry={mounted}", ("Verify …",)),
    "Soft-delete backup job": ("/mounts?view=history&entry={unmounted}", ("Soft-delete …",)),
    "Re-check the": ("/mounts?view=operations&operation={unknown}", ("Re-check …",)),
    "Target template": ("/mounts?view=active", ("More", _item("New template …"))),
    "Verify compute": ("/mounts?view=hosts&host={host}", ("Verify host …",)),
    "Release compute": ("/mounts?view=hosts&host={host}", ("Release host …",)),
    "Add an environment": ("/connections", ("Add …",)),
    "Environment Sandbox": ("/connections", ("Edit …",)),
    "Delete this environment": ("/connections", ("Edit …", "Delete …")),
    "Run databricks": ("/ingestion?view=datahub", ("Run recipe …",)),
    "Disable": ("/accounts?account={viewer}", ("Disable",)),
    "Reset the password": ("/accounts?account={viewer}", ("Reset password",)),
    # The last: to do it, somebody has to prove once more who they are.
    "Confirm that it is you": (
        "/accounts?account={viewer}",
        ("Reset password", lambda page: press(page.get_by_role("dialog").last, "Reset password")),
    ),
}
#: Of popovers, which have no name, a button inside.
POPOVERS: dict[str, tuple[str, str]] = {
    "Save": ("/mounts?view=orphans", "Too old after"),
    "Release compute": ("/mounts?view=orphans", "Dead hosts"),
}


def _seen(portal: Portal) -> dict[str, str]:
    """An entry of each state, an operation without an answer, a host, and somebody's account."""
    [mounted] = portal.cli_json("mounts", "active", "--limit", "1")["items"]
    [unmounted] = portal.cli_json(
        "mounts", "history", "--unmounted", "--not-deleted", "--limit", "1"
    )["items"]
    operations = portal.cli_json("mounts", "operations")["items"]
    viewer, _ = portal.account("viewer")
    accounts = portal.cli_json("accounts", "list")["items"]
    return {
        "mounted": mounted["key"],
        "unmounted": unmounted["key"],
        "unknown": next(o["operation_id"] for o in operations if o["status"] == "unknown"),
        "host": mounted["host"],
        "viewer": next(str(each["id"]) for each in accounts if each["name"] == viewer),
    }


@pytest.mark.usefixtures("visitors")
def test_each_window_is_accessible(sandbox_portal: Portal, browser_page: Page) -> None:
    page = browser_page
    sandbox_portal.sign_in(page)
    seen = _seen(sandbox_portal)
    for name, (address, steps) in WINDOWS.items():
        page.goto(sandbox_portal.url + address.format(**seen))
        if name == "Confirm that it is you":
            let_sign_ins_grow_old(sandbox_portal)
        for step in steps:
            settle(page)
            step(page) if callable(step) else press(page, step)
        expect(page.get_by_role("dialog", name=re.compile(name))).to_be_visible()
        settle(page)
        assert violations_in_both(page) == [], name
    for inside, (address, button) in POPOVERS.items():
        page.goto(sandbox_portal.url + address)
        press(page, button)
        expect(page.get_by_role("button", name=inside).first).to_be_visible()
        settle(page)
        assert violations_in_both(page) == [], inside


def test_a_main_action_does_not_wait_for_all_of_its_page(
    sandbox_portal: Portal, browser_page: Page
) -> None:
    """It ends a run of its own part before anything else is run."""
    page, ended = browser_page, list[int]()

    def note(frame: str | bytes) -> None:
        message = ForwardMsg()
        if isinstance(frame, bytes):
            message.ParseFromString(frame)
        if message.WhichOneof("type") == "script_finished":
            ended.append(message.script_finished)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    sandbox_portal.open(page)
    for path, label in (
        ("/mounts", "Mount …"),
        ("/tokenization", "Pick a table …"),
        (f"/ingestion?dataset_urn={PRICES}", "Review …"),
        ("/connections", "Edit …"),
    ):
        page.goto(sandbox_portal.url + path)
        button = page.get_by_role("button", name=label).first
        expect(button).to_be_enabled()
        settle(page)
        ended.clear()
        tap(button)
        expect(page.get_by_role("dialog")).to_be_visible()
        settle(page)
        assert ended[0] == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY, label
