"""What the face costs in a real browser, on a sandbox: what jumps while a page is first loaded, and
a page switch against Streamlit's own hello app. (How many keys each job takes,
tests/e2e/test_presses.py counts.)

A switch is timed inside of the browser: until the title of the page is there, and until all of it
is (its script has ended, nothing of the page before is left). What Streamlit and the browser need
for as many elements as our pages have shows a third side: an app without any code of ours that
sends the very elements that our pages sent, from a file.

    python -m benchmarks.face [rounds] [switches]
"""

import pickle
import statistics
import sys
from collections.abc import Sequence
from itertools import cycle
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
HELLO = {"app.py": "from streamlit.hello.streamlit_app import run\nrun()\n"}
#: Not those that move by themselves for seconds.
HELLO_PAGES = ("DataFrame demo", "Mapping demo")
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
#: Milliseconds from the click on a page's link to its title, and to all of the page.
SWITCH = """
title => new Promise((done, fail) => {
  const link = [...document.querySelectorAll('[data-testid=stSidebarNav] a')]
    .find(each => each.textContent.trim().endsWith(title))
  const app = document.querySelector('[data-testid=stApp]')
  const begun = performance.now()
  let titled = null
  const observer = new MutationObserver(() => {
    const since = performance.now() - begun
    if (titled === null) {
      const headings = [...document.querySelectorAll('h1')]
      if (!headings.some(each => each.textContent.trim() === title)) return
      titled = since
    }
    if (app.dataset.testScriptState !== 'notRunning') return
    if (document.querySelector('[data-stale=true], [data-testid=stSkeleton]')) return
    observer.disconnect()
    done([titled, since])
  })
  observer.observe(document, {
    subtree: true, childList: true, characterData: true,
    attributes: true, attributeFilter: ['data-test-script-state', 'data-stale'],
  })
  setTimeout(() => fail('no end after a minute'), 60000)
  link.click()
})
"""
#: Milliseconds from the click on a page's main action to all that it brings: a dialog, a progress.
#: A run may be over before the browser draws that there is one.
ACT = """
label => new Promise((done, fail) => {
  const buttons = [...document.querySelectorAll('[data-testid=stMain] button')]
  const button = buttons.find(each => each.textContent.includes(label))
  const app = document.querySelector('[data-testid=stApp]')
  const brought = () =>
    document.querySelectorAll('[role=dialog], [data-testid=stProgress]').length
  const before = brought()
  const begun = performance.now()
  let asked = false
  const observer = new MutationObserver(() => {
    asked ||= app.dataset.testScriptState === 'running' || brought() > before
    if (!asked || app.dataset.testScriptState !== 'notRunning') return
    if (document.querySelector('[data-stale=true], [data-testid=stSkeleton]')) return
    observer.disconnect()
    done(performance.now() - begun)
  })
  observer.observe(document, {
    subtree: true, childList: true,
    attributes: true, attributeFilter: ['data-test-script-state', 'data-stale'],
  })
  setTimeout(() => fail('no end after a minute'), 60000)
  button.click()
})
"""
DATASET = (
    "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.polygon_prices,PROD)"
)
ACTIONS = {
    "/user-sync": "Plan now",
    "/mounts": "Mount …",
    "/tokenization": "Pick a table",
    f"/ingestion?dataset_urn={DATASET}": "Review …",
    "/connections": "Test all",
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
    """Ours, the hello app's and the same elements' by turns."""
    titles = ("Runs", "Audit log", "Accounts")
    recorded = elements_of(page, portal, titles)
    sides: tuple[list[list[float]], ...] = ([], [], [])
    others = cycle(HELLO_PAGES)
    with (
        _servers.plain(HELLO) as hello,
        _servers.plain(REPLAY, {"elements.pickle": recorded}) as same,
    ):
        tabs = page, _tab(browser, hello.url), _tab(browser, same.url)
        _open(page, portal.url)
        for number in range(rounds + 1):  # the first round imports what pages need
            for mine, its in zip(titles, others, strict=False):
                for tab, title, found in zip(tabs, (mine, its, mine), sides, strict=True):
                    times = tab.evaluate(SWITCH, title)
                    settle(tab)
                    if number:
                        found.append(times)
        for tab in tabs[1:]:
            tab.context.close()
    reference = statistics.median(times[1] for times in sides[1])
    for path, found in actions(page, portal, rounds).items():
        _servers.line(
            f"main action of {path.partition('?')[0]}, against that app's switch",
            statistics.median(found), reference, "ms", "promised: at most 2",
        )  # fmt: skip
    for what, place in (("all of it", 1), ("its title", 0)):
        mine, its, least = (statistics.median(times[place] for times in side) for side in sides)
        _servers.line(f"page switch, {what}", mine, its, "ms", "promised: at most 1.2")
        _servers.line("  the same elements from a file", least, its, "ms", "for information")


def actions(page: Any, portal: Portal, rounds: int) -> dict[str, list[float]]:
    """How long the main action of each job's page takes, in milliseconds by path."""
    found: dict[str, list[float]] = {path: [] for path in ACTIONS}
    for number in range(rounds + 1):
        for path, label in ACTIONS.items():
            _open(page, portal.url + path)
            page.get_by_test_id("stMain").get_by_role("button", name=label).first.wait_for()
            took = page.evaluate(ACT, label)
            if number:
                found[path].append(took)
    return found


def elements_of(page: Any, portal: Portal, titles: Sequence[str]) -> bytes:
    """What the portal sends for each of the pages, a pickle of messages by title."""
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies(portal.url))
    return pickle.dumps(page_switch.messages(portal.url, cookies, titles))


def _tab(browser: Any, address: str) -> Any:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    _open(page, address)
    return page


def _open(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    settle(page)


if __name__ == "__main__":
    main()
