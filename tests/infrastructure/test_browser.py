"""The browser fixture: a real Chromium that runs scripts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.fixtures.browser import settle, somebody_else

pytestmark = pytest.mark.browser

HTML = b"<title>hello</title><p id=x></p><script src=/long></script>"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        script = self.path == "/long"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Cache-Control", "max-age=1000" if script else "no-store")
        self.end_headers()
        self.wfile.write(b"x.textContent = 6 * 7" if script else HTML)

    def log_message(self, *_):
        """Silent: a test's server has nothing to tell."""


@pytest.fixture
def site() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_draws_a_page_and_runs_its_script(browser_page, site):
    browser_page.goto(site.url)
    assert browser_page.title() == "hello"
    assert browser_page.locator("#x").inner_text() == "42"


def test_can_be_told_what_the_page_said(browser_page):
    said = []
    browser_page.on("console", lambda message: said.append(message.text))
    browser_page.set_content("<script>console.log('here')</script>")
    assert said == ["here"]


def test_somebody_else_finds_nothing_of_who_was_there_but_the_scripts(browser_page, site):
    keep = """async () => {
      document.cookie = "c=1; max-age=1000"
      localStorage.l = sessionStorage.s = "1"
      await new Promise(done => indexedDB.open("i").onsuccess = done)
    }"""
    find = """async () => [document.cookie, localStorage.length, sessionStorage.length,
      (await indexedDB.databases()).length]"""
    context = browser_page.context
    browser_page.goto(site.url)
    browser_page.evaluate(keep)
    assert browser_page.evaluate(find) == ["c=1", 1, 1, 1]
    with somebody_else(context) as other:
        other.goto(site.url)
        assert other.evaluate(find) == ["", 0, 0, 0]
        assert other.locator("#x").inner_text() == "42"
    assert context.pages == []
    assert [each for each in site.asked if each != "/favicon.ico"] == ["/", "/long", "/"]


def test_a_page_is_settled_when_what_its_last_run_drew_is_there(portal, browser_page):
    """Its end is told before that: an old page looked settled, and moved under the next click."""
    portal.open(browser_page, path="/glossary")
    browser_page.evaluate(
        """() => {
          window.seen = []
          const page = document.documentElement
          new MutationObserver(() => page.hasAttribute("data-asked") || seen.push([
            document.querySelectorAll("[role=dialog]").length,
            document.querySelector("[data-testid=stApp]").dataset.testScriptState,
            document.querySelectorAll("[data-stale=true]").length,
          ])).observe(page, {attributes: true, attributeFilter: ["data-asked"]})
        }"""
    )
    for _ in range(3):
        browser_page.keyboard.press("Control+k")
        settle(browser_page)
        assert browser_page.evaluate("seen.splice(0).at(-1)") == [1, "notRunning", 0]
        browser_page.keyboard.press("Escape")
        browser_page.get_by_role("dialog").wait_for(state="detached")
        settle(browser_page)
        browser_page.evaluate("seen.length = 0")
