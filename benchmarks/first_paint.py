"""Sign-in page in a real browser from a cold process, against a Streamlit hello-world beside it.

Per round each side gets a fresh process and a fresh browser context, in turns, so that both meet
the same machine. Promise: at most 1.5 times the hello-world.

    python -m benchmarks.first_paint [rounds]
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import _servers
from tests.fixtures import processes
from tests.fixtures.browser import CHROMIUM_FLAGS


def main() -> None:
    from playwright.sync_api import sync_playwright

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chromium = processes.program("chromium", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        with _servers.folder("state") as off, _servers.folder("state-sandbox") as auto:
            _warm_up(off, auto)
            sides: dict[str, list[tuple[float, float, float]]] = {
                "hello-world": [],
                "sign-in, sandbox off": [],
                "sign-in, sandbox on": [],
            }
            for _ in range(rounds):
                with _servers.plain() as server:
                    sides["hello-world"].append(_visit(browser, server, "Name"))
                with _servers.portal(off, {"PORTAL_SANDBOX": "off"}) as server:
                    sides["sign-in, sandbox off"].append(_visit(browser, server, "Username"))
                with _servers.portal(auto) as server:
                    sides["sign-in, sandbox on"].append(_visit(browser, server, "Username"))
        browser.close()
    medians = {
        name: [statistics.median(values) for values in zip(*figures, strict=True)]
        for name, figures in sides.items()
    }
    theirs = medians.pop("hello-world")
    for name, ours in medians.items():
        for part, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            what = ("process start to ready", "first contentful paint", "form drawn")[part]
            promise = "promised: at most 1.5" if part else "for information"
            _servers.line(f"{name}: {what}", mine, other, "s", promise)


def _warm_up(off: Path, auto: Path) -> None:
    """Migrated databases and byte-compiled code, as after any first start."""
    with _servers.plain():
        pass
    with _servers.portal(off, {"PORTAL_SANDBOX": "off"}):
        pass
    with _servers.portal(auto):
        time.sleep(15)


def _visit(browser: Any, server: _servers.Server, label: str) -> tuple[float, float, float]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    begun = time.perf_counter()
    page.goto(server.url, wait_until="commit")
    page.get_by_label(label).first.wait_for()
    drawn = time.perf_counter() - begun
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)[0]"
    )
    context.close()
    return server.ready, paint / 1000, drawn


if __name__ == "__main__":
    main()
