"""Two people, two browsers: one asks, the other is told, looks at it and approves; it runs.

The portal is this module's own, because its policies would hold up other tests' work. Its admin
gets a second factor in the first test.
"""

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyotp
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from playwright.sync_api import Page, expect

from backend.sandbox.postgres_tables import CUSTOMERS
from tests.fixtures import production, warm
from tests.fixtures.browser import PATIENCE, fill, press, tick, violations_in_both
from tests.fixtures.plans import plan_by
from tests.fixtures.portal import Portal, running_portal

#: The first test starts a portal with its sandbox.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

SLOW = 2 * PATIENCE  # milliseconds; a first call imports a vendor's SDK
PRODUCTION = "prod-eu"
ENDED = {"succeeded", "failed", "unknown", "refused"}
EMAIL = "aaron_johnson0@example.com"

Told = "queue.Queue[dict[str, Any]]"


@dataclass(frozen=True)
class Governed:
    """api: the REST API, asked with an admin's token."""

    portal: Portal
    api: httpx.Client


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[str, Told]]:
    """A webhook's address, and the events that reach it."""
    events: Told = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for event in json.loads(body)["events"]:
                events.put(event)
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """The test's output is not the server's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", events
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def governed(
    tmp_path_factory: pytest.TempPathFactory, told: tuple[str, Told]
) -> Iterator["Governed"]:
    """A portal with a production environment as it starts, and a webhook told of what waits."""
    with running_portal(tmp_path_factory.mktemp("changes"), PORTAL_SANDBOX="on") as portal:
        portal.wait_for_sandbox()
        warm.run([production.__name__, PRODUCTION], portal.environ).check_returncode()
        admin = token(portal, "set-up", role="admin")
        with httpx.Client(base_url=f"{portal.url}/api", headers=admin, timeout=120) as api:
            found = (
                api.get(f"/environments/{PRODUCTION}/policies").raise_for_status().json()["items"]
            )
            rules = {
                each["action"]: (each["rule"]["mode"], each["rule"]["approvers"]) for each in found
            }
            for action in ("user_sync.apply", "tokenization.run"):
                assert rules[action] == ("approve", 1), "production starts so"
            channel = {"name": "ops", "address": told[0], "kinds": ["changes.waiting"]}
            api.post("/notifications/channels", json=channel).raise_for_status()
            yield Governed(portal, api)


def link_of(events: Told, number: int) -> str:
    """The address in the message that says that this change waits."""
    while True:
        event = events.get(timeout=120)
        if f"change={number}" in event["link"] and event["phase"] == "raised":
            return str(event["link"])


def path_of(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


def carried_out(api: httpx.Client, number: int) -> dict[str, Any]:
    """The change, once it has ended."""
    deadline = time.monotonic() + 180
    while True:
        view: dict[str, Any] = api.get(f"/changes/{number}").raise_for_status().json()
        if view["status"] in ENDED:
            return view
        assert time.monotonic() < deadline, view
        time.sleep(1)


def token(portal: Portal, name: str, role: str = "steward") -> dict[str, str]:
    raw = portal.cli("tokens", "add", name, "--role", role).stdout.split()[-1]
    return {"Authorization": f"Bearer {raw}"}


def turn_second_factor_on(page: Page) -> pyotp.TOTP:
    press(page, "Set up", exact=True)
    shown = page.get_by_test_id("stCode").last
    shown.wait_for()
    app = pyotp.TOTP("".join(shown.inner_text().split()))
    fill(page, Code_from_the_app=app.now())
    press(page, "Turn on")
    press(page, "I have kept them")
    page.get_by_text("recovery codes left").first.wait_for()
    return app


def let_sign_ins_grow_old(portal: Portal) -> None:
    """As if every browser had been left open for hours."""
    with sqlite3.connect(portal.folder / "state/portal.sqlite", timeout=60) as state:
        state.execute("UPDATE account_sessions SET proven_at = '2026-01-01 00:00:00.000000'")
    state.close()


def shown_now(api: httpx.Client, page: Page, number: int) -> str:
    """The rows that the page's table holds: it is a canvas, so they are read over REST."""
    expect(page.get_by_label(f"What change {number} would do now").last).to_be_visible()
    found = api.get(f"/changes/{number}/now").raise_for_status().json()
    return json.dumps(found["preview"]["rows"])


def approve(page: Page) -> None:
    press(page, "Approve …")
    press(page.get_by_role("dialog").last, "Approve", exact=True)


def test_a_user_plan_asked_for_in_one_browser_is_approved_with_a_code_in_another(
    governed: Governed, told: tuple[str, Told], browser_page: Page, second_page: Page
) -> None:
    steward, admin = browser_page, second_page
    governed.portal.open(steward, role="steward", path=f"/user-sync?environment={PRODUCTION}")
    plan_by(steward, "Plan now")
    tick(steward, f"Apply to {EMAIL}")
    press(steward, "Apply 1 ticked")
    press(steward, "Change 1 user")
    note = steward.get_by_text("needs somebody else's approval").last
    expect(note).to_be_visible(timeout=SLOW)
    number = int(note.get_by_role("link").inner_text().split()[-1])

    governed.portal.open(admin, path="/profile")
    app = turn_second_factor_on(admin)
    let_sign_ins_grow_old(governed.portal)
    admin.goto(link_of(told[1], number))
    expect(admin.get_by_text("It would still do the same now.").last).to_be_visible(timeout=SLOW)
    expect(admin.get_by_text("1 user of plan").last).to_be_visible()
    assert EMAIL in shown_now(governed.api, admin, number)
    approve(admin)
    expect(admin.get_by_text("proof of who you are").last).to_be_visible(timeout=SLOW)
    assert violations_in_both(admin) == []
    # The code of the next half minute: that of this one was used to set the app up.
    code = admin.get_by_label("Code from your authenticator app").last
    code.fill(app.at(int(time.time()) + 30))
    press(admin.get_by_role("dialog").last, "Confirm", exact=True)
    press(admin.get_by_role("dialog").last, "Approve", exact=True)
    expect(admin.get_by_text(f"Change {number} approved.").last).to_be_visible(timeout=SLOW)

    view = carried_out(governed.api, number)
    assert (view["status"], view["approvals"]) == ("succeeded", ["admin"]), view
    steward.goto(f"{governed.portal.url}/user-sync?view=history&run={view['run_id']}")
    expect(steward.get_by_role("button", name="Revert").last).to_be_visible(timeout=SLOW)
    plan_by(steward, "Revert …")
    tick(steward, f"Apply to {EMAIL}")
    press(steward, "Apply 1 ticked")
    expect(steward.get_by_role("dialog", name="Change 1 user")).to_be_visible(timeout=SLOW)
    assert violations_in_both(steward) == []
    steward.goto(f"{governed.portal.url}/changes?view=mine&change={number}")
    applied = steward.get_by_text("1 applied").locator("visible=true")
    expect(applied.first).to_be_visible(timeout=SLOW)  # the history below says it too, folded


def test_a_tokenization_asked_for_by_an_api_token(
    governed: Governed, told: tuple[str, Told], browser_page: Page
) -> None:
    answer = httpx.post(
        f"{governed.portal.url}/api/tokenization/runs",
        headers=token(governed.portal, "etl"),
        json={
            "dataset": CUSTOMERS.urn,
            "columns": ["phone"],
            "environment": PRODUCTION,
        },
        timeout=120,
    )
    asked = answer.json()
    assert (answer.status_code, asked["status"]) == (202, "waiting"), answer.text
    assert answer.headers["Location"] == f"/api/changes/{asked['change_id']}"
    number = asked["change_id"]
    governed.portal.open(browser_page, role="steward", path=path_of(link_of(told[1], number)))
    expect(browser_page.get_by_text("of 5,000 would change").last).to_be_visible(timeout=SLOW)
    press(browser_page, "Reject …")
    expect(browser_page.get_by_role("dialog", name="Reject change")).to_be_visible(timeout=SLOW)
    assert violations_in_both(browser_page) == []
    press(browser_page.get_by_role("dialog").last, "Cancel")
    press(browser_page, "Approve …")
    expect(browser_page.get_by_role("dialog", name="Approve change")).to_be_visible(timeout=SLOW)
    assert violations_in_both(browser_page) == []
    press(browser_page.get_by_role("dialog").last, "Cancel")
    assert "phone" in shown_now(governed.api, browser_page, number)
    approve(browser_page)
    expect(browser_page.get_by_text(f"Change {number} approved.").last).to_be_visible(timeout=SLOW)
    assert carried_out(governed.api, number)["status"] == "succeeded"


def test_a_user_plan_asked_for_by_an_mcp_client(
    governed: Governed, told: tuple[str, Told], browser_page: Page
) -> None:
    headers = token(governed.portal, "assistant")

    def tool(name: str, **arguments: Any) -> dict[str, Any]:
        async def call() -> Any:
            async with (
                create_mcp_http_client(headers=headers) as http,
                Client(
                    streamable_http_client(f"{governed.portal.url}/mcp", http_client=http)
                ) as client,
            ):
                return await client.call_tool(name, arguments)

        found: dict[str, Any] = json.loads(_alone(call).content[0].text)
        return found

    plan = tool("make_user_plan", environment=PRODUCTION)["plan_id"]
    asked = tool("ask_to_apply_user_plan", plan_id=plan)
    assert asked["status"] == "waiting", asked
    number = asked["change_id"]
    governed.portal.open(browser_page, role="steward", path=path_of(link_of(told[1], number)))
    expect(browser_page.get_by_text(f"of plan {plan}").last).to_be_visible(timeout=SLOW)
    approve(browser_page)
    expect(browser_page.get_by_text(f"Change {number} approved.").last).to_be_visible(timeout=SLOW)
    assert carried_out(governed.api, number)["status"] == "succeeded"


def _alone(call: Any) -> Any:
    """Playwright's sync API has a running loop in this thread; asyncio.run wants one without."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(call())))
    thread.start()
    thread.join(timeout=300)
    assert found, "the client has not answered"
    return found[0]
