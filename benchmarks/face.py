"""What the face costs in a real browser, on a sandbox: what jumps while a page is first loaded, how
many keys three jobs take from the Overview, and a page switch against Streamlit's hello app.

    python -m benchmarks.face [rounds]
"""

import re
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import _servers
from tests.fixtures import processes
from tests.fixtures.browser import CHROMIUM_FLAGS, PATIENCE, settle
from tests.fixtures.portal import Portal, running_portal

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
PATHS = (
    *("/", "/user-sync", "/mounts", "/tokenization", "/ingestion", "/connections", "/jobs"),
    *("/audit", "/changes", "/accounts", "/system"),
)
SHIFT = 0.1
WATCH = """
  window.shifts = [];
  new PerformanceObserver(list => {
    for (const each of list.getEntries()) window.shifts.push(each.value)
  }).observe({type: "layout-shift", buffered: true})
"""
#: Presses that each job took when it was first measured; promised is half.
BEFORE = {"test": 31, "sync": 97, "mount": 38}
MOST_STOPS = 150


def main() -> None:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chromium = processes.program("chromium", package="chromium")
    with (
        _servers.folder("face") as folder,
        running_portal(folder, PORTAL_SANDBOX="on") as portal,
        sync_playwright() as playwright,
    ):
        portal.wait_for_sandbox()
        portal.cli("users", "plan", "Sandbox")
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(WATCH)
        portal.sign_in(page)
        shifts(page, portal)
        switches(page, portal, browser, rounds)
        keyboard(page, portal)
        browser.close()


def shifts(page: Any, portal: Portal) -> None:
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for path in PATHS:
            _open(page, portal.url + path)
            page.wait_for_timeout(500)
            shift = sum(page.evaluate("window.shifts"))
            _servers.line(f"first load of {path}, {name}", shift, SHIFT, "shift", "at most 1")
    page.set_viewport_size({"width": 1440, "height": 900})


def switches(page: Any, portal: Portal, browser: Any, rounds: int) -> None:
    """From the click in the menu to the end of the page's run, in turns with a bare app."""
    other = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    bare = {
        "app.py": "import streamlit as st\n"
        "st.navigation([st.Page('one.py', title='One'), st.Page('two.py', title='Two')]).run()\n",
        "one.py": "import streamlit as st\nst.title('One')\nst.text_input('Name')\n",
        "two.py": "import streamlit as st\nst.title('Two')\nst.text_input('Name')\n",
    }
    ours: list[float] = []
    theirs: list[float] = []
    with _servers.plain(bare) as server:
        _open(other, server.url)
        _open(page, portal.url)
        for number in range(rounds + 1):  # the first round imports what pages need
            for mine, its in (("Runs", "Two"), ("Audit log", "One"), ("Accounts", "Two")):
                first, second = _switch(page, mine), _switch(other, its)
                if number:
                    ours.append(first)
                    theirs.append(second)
                _switch(other, "One")
    other.context.close()
    line = ("page switch in the browser", statistics.median(ours), statistics.median(theirs))
    _servers.line(*line, "s", "promised: at most 1.2")


def _switch(page: Any, title: str) -> float:
    link = page.get_by_role("link", name=title, exact=True).first
    link.wait_for()
    begun = time.perf_counter()
    link.click()
    page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
    return time.perf_counter() - begun


def keyboard(page: Any, portal: Portal) -> None:
    """Every key counts once, also each letter that is typed to find a page, but not what is filled
    in: a job's number has to be typed by any means."""
    from playwright.sync_api import TimeoutError

    for name, job in JOBS.items():
        _open(page, portal.url)
        keys = Keys(page)
        try:
            job(keys)
        except (AssertionError, TimeoutError) as exc:
            print(f"keys of {name}: not done after {keys.pressed}: {str(exc)[:200]}")
            continue
        _servers.line(f"keys of {name}", keys.pressed, BEFORE[name], "keys", "at most 0.5")


class Keys:
    """Somebody without a mouse."""

    def __init__(self, page: Any) -> None:
        self.page, self.pressed = page, 0

    def press(self, key: str) -> None:
        settle(self.page)
        self.page.keyboard.press(key)
        self.pressed += 1

    def go(self, letters: str, title: str) -> None:
        """To a page by the search, with as few letters as make it the first that is found."""
        self.press("Control+k")
        self.page.get_by_role("dialog").get_by_label("Search").wait_for()
        self.page.wait_for_timeout(500)
        for letter in letters:
            self.press(letter)
        self.page.wait_for_timeout(500)
        found = self.page.get_by_role("dialog").get_by_role("button", name=title, exact=True)
        self.reach(found)
        self.press("Enter")
        self.page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
        settle(self.page)
        self.page.wait_for_timeout(1000)  # the focus comes to the title

    def reach(self, what: Any, key: str = "Tab") -> None:
        what.last.wait_for(state="attached")
        for _ in range(MOST_STOPS):
            if what.last.evaluate("box => box.contains(document.activeElement)"):
                return
            self.press(key)
        raise AssertionError(f"{key} never reached {what}")

    def do(self, name: str | re.Pattern[str], key: str = "Tab") -> None:
        self.reach(self.page.get_by_role("button", name=name), key)
        self.press("Enter")

    def done(self, text: str) -> None:
        shown = self.page.get_by_text(text).locator("visible=true").first
        shown.wait_for(timeout=2 * PATIENCE)


def _test(keys: Keys) -> None:
    keys.go("conn", "Connections")
    keys.do("Test all")
    keys.done("connections work")


def _sync(keys: Keys) -> None:
    keys.go("user", "User sync")
    keys.reach(keys.page.get_by_role("checkbox", name="Apply to").first)
    keys.press("Space")
    settle(keys.page)
    keys.press("Control+Enter")
    keys.page.get_by_role("dialog").last.wait_for()
    keys.do("Change 1 user")
    keys.page.get_by_role("button", name="Revert").last.wait_for(timeout=2 * PATIENCE)


def _mount(keys: Keys) -> None:
    keys.go("moun", "Mounts")
    keys.do("Mount …")
    page = keys.page
    dialog = page.get_by_role("dialog").last
    keys.reach(dialog.get_by_role("combobox", name=re.compile("Target")))
    page.keyboard.type("s3-prod-eu")
    keys.press("Enter")
    keys.reach(dialog.get_by_label("Job id"))
    page.keyboard.type("515151")
    keys.reach(dialog.get_by_label("Host"))
    page.keyboard.type("compute-07")
    keys.press("Enter")
    keys.reach(dialog.get_by_role("button", name="Mount", exact=True))
    keys.press("Enter")
    keys.done("mounted successfully")


JOBS: dict[str, Callable[[Keys], None]] = {
    "test": _test,
    "sync": _sync,
    "mount": _mount,
}


def _open(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    settle(page)


if __name__ == "__main__":
    main()
