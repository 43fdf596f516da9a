"""A new team's first own environment in a real browser: each step is led to by the one before.

PostgreSQL first, which is enough for a first run, then DataHub, which that run is written to.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.sandbox.datahub import StandIn
from backend.tokenization import tags
from tests.backend.tokenization.world import Source, customers
from tests.fixtures.browser import PATIENCE, fill, press, settle, tap, tick_first_row
from tests.fixtures.portal import Portal, running_portal

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

SLOW = 2 * PATIENCE  # a first test imports vendors' SDKs
TOKEN = "datahub-token-of-theirs"


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    """Its own: the sandbox is left here."""
    with running_portal(tmp_path, PORTAL_SANDBOX="on") as portal:
        portal.wait_for_sandbox()
        yield portal


@pytest.fixture
def shop(postgres_url: str) -> Source:
    source = Source(postgres_url)
    customers(source, rows=300)
    return source


@pytest.fixture
def gms(shop: Source) -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as server:
        fields = {"id": "bigint", "name": "text", "email": "text", "phone": "varchar(60)"}
        server.seed_dataset(shop.urn("customers"), fields=fields, primary_keys=["id"])
        yield server


def state_of(page: Page, kind: str) -> Any:
    """The word beside a kind in the list of connections."""
    label = page.get_by_role("radiogroup").locator("label", has_text=kind)
    return label.locator("xpath=..")


def proof(gms: StandIn, shop: Source) -> dict[str, Any]:
    held = gms.aspect(shop.urn("customers"), "datasetProperties") or {}
    written = held.get("customProperties", {}).get(tags.LAST_RUN_PROPERTY)
    return dict(json.loads(written)) if written else {}


def test_from_the_sandbox_to_the_first_run_and_its_proof_in_datahub(
    portal: Portal, browser_page: Page, shop: Source, gms: StandIn
) -> None:
    page = browser_page
    portal.open(page)
    press(page, "Leave sandbox …")
    press(page, "Leave the sandbox", exact=True)
    expect(page.get_by_text("Add your first environment on Connections.").last).to_be_visible()
    tap(page.get_by_test_id("stMain").get_by_role("link", name="Connections"))

    fill(page, Name="Live")
    press(page, "Add environment")
    expect(page.get_by_role("heading", name="Set up Live").last).to_be_visible()
    expect(page.get_by_role("button", name="or MySQL or MariaDB, to be set").last).to_be_visible()
    press(page, "PostgreSQL, to be set")
    expect(page.get_by_role("heading", name="PostgreSQL").last).to_be_visible()
    names = {name.capitalize(): shop.settings[name] for name in ("host", "port", "user")}
    fill(page, **names, Password=shop.secrets["password"])
    page.get_by_role("textbox", name="Database", exact=True).fill(shop.database)
    press(page, "Save", exact=True)

    expect(page.get_by_text("PostgreSQL answered in").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("heading", name="Set up Live")).to_have_count(0)
    expect(state_of(page, "PostgreSQL")).to_contain_text("ok")
    tap(page.get_by_role("link", name="Next: Tokenization"))
    expect(page.get_by_text("Nothing is waiting or running. Pick a table.").last).to_be_visible()
    tokenize(page)

    settle(page)
    expect(page.get_by_text("The environment Live has no DataHub connection.").last).to_be_visible()
    settle(page)
    page.keyboard.press("Escape")  # the run's drawer lies over the menu
    expect(page.get_by_role("dialog")).to_have_count(0)
    settle(page)
    tap(page.get_by_role("link", name="Connections", exact=True).first)
    tap(page.get_by_text("Set up further jobs"))
    press(page, "DataHub, if you have it")
    expect(page.get_by_role("heading", name="DataHub", exact=True).last).to_be_visible()
    fill(page, GMS_address=gms.url)
    press(page, "Save", exact=True)
    expect(page.get_by_text("no access token is stored").last).to_be_visible(timeout=SLOW)
    fill(page, Access_token=TOKEN)
    press(page, "Save", exact=True)
    expect(page.get_by_text("DataHub answered in").last).to_be_visible(timeout=SLOW)
    expect(state_of(page, "DataHub")).to_contain_text("ok")
    assert proof(gms, shop) == {}
    tap(page.get_by_role("link", name="Next: Tokenization"))
    expect(page.get_by_text("Put the tag tokenize/run on a dataset").last).to_be_visible()
    tap(page.get_by_role("radio", name="Runs"))
    tick_first_row(page.get_by_test_id("stDataFrame").last)
    press(page, "Write it now")
    expect(page.get_by_text("is written in the background").last).to_be_visible()
    for _ in range(SLOW // 500):
        if proof(gms, shop):
            break
        page.wait_for_timeout(500)
    assert proof(gms, shop)["rows_updated"] == 300


def tokenize(page: Page) -> None:
    press(page, "Pick a table …")
    press(page.get_by_role("dialog").last, "Preview")
    expect(page.get_by_text("Tick the columns that shall get tokens.").last).to_be_visible(
        timeout=SLOW
    )
    tick_first_row(page.get_by_test_id("stDataFrame").last)
    press(page, "Tokenize 300 rows")
    press(page.get_by_role("dialog").last, "Tokenize now")
    expect(page.get_by_text("300 of 300 rows were changed.").last).to_be_visible(timeout=SLOW)
