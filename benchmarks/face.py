"""What the face costs in a real browser, on a sandbox: what jumps while a page is first loaded, and
a page switch against a bare Streamlit app. (How many keys each job takes, tests/e2e/test_presses.py
counts.)

    python -m benchmarks.face [rounds]
"""

import statistics
import sys
import time
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
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(WATCH)
        portal.sign_in(page)
        shifts(page, portal)
        switches(page, portal, browser, rounds)
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


def _open(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    settle(page)


if __name__ == "__main__":
    main()
