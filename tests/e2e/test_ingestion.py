"""A new user: a link from DataHub, a look at what will be sent, one run, its outcome; REST."""

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.fixtures.browser import PATIENCE, fill, place, press, settle, tap
from tests.fixtures.portal import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PRICES = (
    "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.polygon_prices,PROD)"
)
STOCKS = (
    "urn:li:dataset:(urn:li:dataPlatform:athena,"
    "AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
)


def runs_of(portal: Portal, dataset: str) -> dict[str, str]:
    """Its runs: number and state."""
    runs = portal.cli_json("ingest", "runs", "--dataset-urn", dataset)["items"]
    return {run["runId"]: run["status"] for run in runs}


def test_a_deep_link_survives_the_sign_in_and_two_clicks_are_one_run_seen_to_its_end(
    sandbox_portal: Portal, browser_page: "Page"
) -> None:
    page = browser_page
    before = runs_of(sandbox_portal, PRICES)
    sandbox_portal.sign_in(page, path=f"/ingestion?dataset_urn={quote(PRICES, safe='')}")
    field = page.get_by_label("Dataset URN").first
    expect(field).to_have_value(PRICES)
    settle(page)
    press(page, "Review")
    page.get_by_text("polygon-lambda").filter(visible=True).first.wait_for()
    settle(page)
    page.get_by_role("button", name="Start the run").last.dblclick()
    page.get_by_text("AWS accepted run").first.wait_for()
    page.get_by_text("The function ended without an error").first.wait_for(timeout=2 * PATIENCE)
    page.get_by_text("rows written: 1200").first.wait_for()
    runs = runs_of(sandbox_portal, PRICES)
    assert [runs[number] for number in runs.keys() - before.keys()] == ["succeeded"]


def _press_star(page: "Page", table: "Locator", *, row: int) -> None:
    """The button of the first column: the table is a canvas, so the pointer looks for it."""
    cursor = "([x, y]) => getComputedStyle(document.elementFromPoint(x, y)).cursor"
    rows = table.locator("tr").count()
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        box = place(table)
        # Above the middle: the last row may have a scroll bar at its lower edge.
        at = [box["x"] + 20, box["y"] + box["height"] / rows * (row + 0.4)]
        page.mouse.move(at[0] + 1, at[1])
        page.mouse.move(*at)
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        if page.evaluate(cursor, at) == "pointer":
            page.mouse.click(*at)
            return
    raise AssertionError(f"no star in row {row}")


def test_a_star_puts_a_dataset_first_and_a_schedule_says_when_it_starts(
    sandbox_portal: Portal, browser_page: "Page"
) -> None:
    page = browser_page
    sandbox_portal.open(page, path="/ingestion")
    table = page.get_by_test_id("stDataFrame").first
    first, second = (table.locator(f"tr[aria-rowindex='{row}'] td") for row in (2, 3))
    expect(second.first).to_have_text("☆")
    name = second.nth(1).text_content()
    assert name
    settle(page)
    _press_star(page, table, row=2)
    expect(first.first).to_have_text("★")
    expect(first.nth(1)).to_have_text(name)

    page.goto(f"{sandbox_portal.url}/ingestion?view=datahub")
    of_a_source = page.get_by_role("button", name="Schedule").first
    tap(of_a_source)
    fill(page, **{"Start by schedule (cron, UTC)": "0 5 * * *"})
    press(page, "Save", exact=True)
    said = page.get_by_text("Every day at 05:00 UTC; next ")
    said.first.wait_for()
    page.reload()  # the popover is closed
    tap(of_a_source)
    press(page, "Remove", exact=True)
    page.get_by_text("no longer starts by itself").wait_for()
    expect(said).to_have_count(0)


def test_a_viewer_sees_the_run_and_nothing_of_aws(
    sandbox_portal: Portal, browser_page: "Page"
) -> None:
    frames: list[str] = []
    browser_page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))),
    )
    sandbox_portal.open(browser_page, role="viewer", path="/ingestion?view=runs")
    browser_page.get_by_role("heading", name="Ingestion").first.wait_for()
    settle(browser_page)
    received = "".join(frames) + browser_page.content()
    assert "ingestion" in received.lower()
    for name in ("polygon-lambda", "arn:aws", "/aws/lambda", "nightly-refresh"):
        assert name not in received


def test_curl_with_a_token_starts_a_run_that_succeeds(sandbox_portal: Portal) -> None:
    made = sandbox_portal.cli("tokens", "add", "curl", "--role", "operator")
    token = made.stdout.strip().splitlines()[-1]

    def call(path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            sandbox_portal.url + path,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    started = call("/api/ingestion/run", {"datasetUrn": STOCKS, "reason": "curl"})
    assert started["status"] == "started"
    deadline = time.monotonic() + 120
    while True:
        run = call(f"/api/ingestion/runs/{started['runId']}")
        if run["settled"] or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert run["status"] == "succeeded"


def test_the_same_datasets_page_in_datahub_carries_the_link(sandbox_portal: Portal) -> None:
    done = sandbox_portal.cli_json("ingest", "links", "put", "--dataset-urn", STOCKS)
    assert (done["changed"], done["failedTotal"]) == (1, 0)
    again = sandbox_portal.cli_json("ingest", "links", "put", "--dataset-urn", STOCKS)
    assert again["unchanged"] == 1
    gone = sandbox_portal.cli_json("ingest", "links", "remove", "--dataset-urn", STOCKS)
    assert gone["changed"] == 1
