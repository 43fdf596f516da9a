"""The browser fixture: a real Chromium that runs scripts."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytestmark = pytest.mark.browser


class _Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<title>hello</title><p id=x></p><script>x.textContent = 6 * 7</script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent: a test's server has nothing to tell."""


def test_draws_a_page_and_runs_its_script(browser_page):
    server = HTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser_page.goto(f"http://127.0.0.1:{server.server_port}/")
    assert browser_page.title() == "hello"
    assert browser_page.locator("#x").inner_text() == "42"
    server.shutdown()
    server.server_close()


def test_can_be_told_what_the_page_said(browser_page):
    said = []
    browser_page.on("console", lambda message: said.append(message.text))
    browser_page.set_content("<script>console.log('here')</script>")
    assert said == ["here"]
