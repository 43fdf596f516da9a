"""A new steward's first tokenization: the sandbox's customers, in a real browser, then by curl."""

import json
import os
import urllib.request
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from backend.sandbox.postgres_tables import CUSTOMERS
from tests.fixtures.browser import PATIENCE, press, settle
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLOW = 2 * PATIENCE  # a first call imports a vendor's SDK


def shoot(page: Page, name: str) -> None:
    """A picture for the person who writes the page, when they ask for one."""
    folder = os.environ.get("TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/tokenization-{name}.png", full_page=True)


def trigger(portal: Portal, body: dict[str, Any]) -> dict[str, Any]:
    token = portal.cli("tokens", "add", "script", "--role", "steward").stdout.split()[-1]
    request = urllib.request.Request(
        portal.url + "/trigger",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def test_preview_run_proof_and_again_by_trigger(sandbox_portal: Portal, browser_page: Page) -> None:
    page = browser_page
    page.set_viewport_size({"width": 1360, "height": 1000})
    sandbox_portal.open(page, role="steward", path="/tokenization")

    page.goto(sandbox_portal.url + "/tokenization?dataset=" + quote(CUSTOMERS.urn))
    expect(page.get_by_text("2 columns").first).to_be_visible(timeout=SLOW)
    shoot(page, "preview")
    settle(page)
    press(page, "Tokenize 5,000 rows")
    dialog = page.get_by_role("dialog").last
    expect(dialog.get_by_text("All rows change in one transaction, or none.").last).to_be_visible()
    shoot(page, "confirm")
    press(dialog, "Tokenize now")
    expect(page.get_by_text("of 5,000 rows were changed.").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("tokenize/status:SUCCESS").first).to_be_visible(timeout=SLOW)
    shoot(page, "result")

    again = trigger(sandbox_portal, {"dataset": CUSTOMERS.urn, "columns": ["email", "phone"]})

    assert (again["status"], again["rows_scanned"], again["rows_updated"]) == (
        "succeeded",
        5000,
        0,
    )
    page.goto(sandbox_portal.url + "/tokenization?view=check")
    press(page, "Compare now")
    expect(page.get_by_text("DataHub and the tables agree.").last).to_be_visible(timeout=SLOW)
    shoot(page, "check")
    page.goto(sandbox_portal.url + "/tokenization?view=runs")
    expect(page.get_by_text("Started by").first).to_be_visible(timeout=SLOW)
    shoot(page, "runs")
