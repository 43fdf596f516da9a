"""What the face costs in a real browser, on a sandbox: what jumps while a page is first loaded, and
a page switch against a bare Streamlit app. (How many keys each job takes, tests/e2e/test_presses.py
counts.)

The bare app has two elements. What Streamlit and the browser need for as many as our pages have
shows a third side: an app without any code of ours that sends the very elements that our pages
sent, from a file.

    python -m benchmarks.face [rounds] [switches]
"""

import pickle
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import _servers, page_switch
from tests.fixtures import processes
from tests.fixtures.browser import CHROMIUM_FLAGS, PATIENCE, settle
from tests.fixtures.portal import Portal, running_portal

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
PATHS = (
    *("/", "/user-sync", "/mounts", "/tokenization", "/ingestion", "/connections", "/jobs"),
    *("/audit", "/changes", "/accounts", "/system"),
)
SHIFT = 0.1
BARE = {
    "app.py": "import streamlit as st\n"
    "st.navigation([st.Page('one.py', title='One'), st.Page('two.py', title='Two')]).run()\n",
    "one.py": "import streamlit as st\nst.title('One')\nst.text_input('Name')\n",
    "two.py": "import streamlit as st\nst.title('Two')\nst.text_input('Name')\n",
}
REPLAY = {
    "app.py": """
import pickle
from pathlib import Path

import streamlit as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

recorded = pickle.loads(Path(__file__).with_name("elements.pickle").read_bytes())


def replay(title):
    def page():
        context = get_script_run_ctx()
        for each in recorded[title]:
            message = ForwardMsg.FromString(each)
            message.ClearField("hash")
            message.metadata.active_script_hash = ""  # of this page, and gone with it
            context.enqueue(message)

    page.__name__ = title.replace(" ", "_")
    return page


st.set_page_config(layout="wide")
st.navigation([st.Page(replay(title), title=title) for title in recorded]).run()
"""
}
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
        if "switches" not in sys.argv:
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
    """From the click in the menu to the title of the page, in turns with a bare app, and with one
    that sends the same elements."""
    titles = ("Runs", "Audit log", "Accounts")
    recorded = elements_of(page, portal, titles)
    ours, theirs, floor = list[float](), list[float](), list[float]()
    with (
        _servers.plain(BARE) as bare,
        _servers.plain(REPLAY, {"elements.pickle": recorded}) as same,
    ):
        other, third = _tab(browser, bare.url), _tab(browser, same.url)
        _open(page, portal.url)
        for number in range(rounds + 1):  # the first round imports what pages need
            for mine, its in zip(titles, ("Two", "One", "Two"), strict=True):
                times = _switch(page, mine), _switch(other, its), _switch(third, mine)
                if number:
                    for found, seconds in zip((ours, theirs, floor), times, strict=True):
                        found.append(seconds)
                _switch(other, "One")
        other.context.close()
        third.context.close()
    mine, its, least = map(statistics.median, (ours, theirs, floor))
    _servers.line("page switch in the browser", mine, its, "s", "promised: at most 1.2")
    _servers.line("the same elements from a file", least, its, "s", "the floor of our pages")
    _servers.line("page switch, against that floor", mine, least, "s", "for information")


def elements_of(page: Any, portal: Portal, titles: Sequence[str]) -> bytes:
    """What the portal sends for each of the pages, a pickle of messages by title."""
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies(portal.url))
    return pickle.dumps(page_switch.messages(portal.url, cookies, titles))


def _tab(browser: Any, address: str) -> Any:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    _open(page, address)
    return page


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
