"""As a steward would, in a browser: tag in the catalog, read what is likely, run, ingest again.

Both ingestions are the official `datahub ingest` with the shipped recipe, without its own tag.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
import requests
import yaml
from playwright.sync_api import Page, expect

from backend.sandbox.datahub.part import TOKEN
from backend.sandbox.embedded_postgres import USER, reachable_folder
from backend.sandbox.postgres_tables import DATABASE
from backend.tokenization import tags
from tests.backend.tokenization import test_recipes
from tests.fixtures.browser import PATIENCE, press, tap, tick_first_row
from tests.fixtures.portal import Portal, own_sandbox_portal

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

overlay = test_recipes.overlay
# Who follows the tags tokenizes all that have one, and the table is dropped at the end.
sandbox_portal = own_sandbox_portal
SLOW = 2 * PATIENCE
URN = f"urn:li:dataset:(urn:li:dataPlatform:postgres,{DATABASE}.public.visitors,PROD)"
ADD_TAG = """
mutation ($urn: String!, $tag: String!) { addTag(input: {resourceUrn: $urn, tagUrn: $tag}) }
"""


def settings(portal: Portal, kind: str) -> dict[str, Any]:
    (found,) = portal.cli_json("connections", "show", "Sandbox", kind)["connections"]
    return dict(found["settings"])


@pytest.fixture
def visitors(sandbox_portal: Portal) -> Iterator[dict[str, str]]:
    """A table of people that no catalog knows yet; what `datahub ingest` needs to find it."""
    where = settings(sandbox_portal, "postgres")
    folder = reachable_folder(sandbox_portal.folder / "state" / "sandbox" / "postgres")
    password = (folder / "password").read_text().strip()
    with closing(
        psycopg2.connect(
            host=where["host"],
            port=where["port"],
            dbname=DATABASE,
            user=USER,
            password=password,
        )
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE visitors (id bigint PRIMARY KEY, email text, seen_on date)"
            )
            cursor.execute(
                "INSERT INTO visitors SELECT n, 'visitor' || n || '@example.org', '2026-01-01' "
                "FROM generate_series(1, 300) AS n"
            )
        yield {
            "POSTGRES_HOST_PORT": f"{where['host']}:{where['port']}",
            "POSTGRES_DATABASE": DATABASE,
            "POSTGRES_USERNAME": USER,
            "POSTGRES_PASSWORD": password,
            "TABLE_PATTERN": rf"^{DATABASE}\.public\.visitors$",
            "DATAHUB_GMS_URL": settings(sandbox_portal, "datahub")["server"],
            "DATAHUB_GMS_TOKEN": TOKEN,
        }
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE visitors")


def ingest(folder: Path, overlay: Path, variables: dict[str, str]) -> None:
    recipe = yaml.safe_load((test_recipes.RECIPES / "postgres.yml").read_text())
    del recipe["transformers"]
    path = folder / "recipe.yml"
    path.write_text(yaml.safe_dump(recipe))
    done = test_recipes.ingest(path, overlay, **variables)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def tag(server: str) -> None:
    """What DataHub's own button sends."""
    answer = requests.post(
        f"{server}/api/graphql",
        json={"query": ADD_TAG, "variables": {"urn": URN, "tag": tags.RUN}},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    assert answer.json()["data"] == {"addTag": True}, answer.text


def proof(page: Page, catalog: str) -> dict[str, Any]:
    """The custom property as the catalog shows it; {} where it is not there."""
    page.goto(catalog)
    row = page.locator("tr", has_text=tags.LAST_RUN_PROPERTY)
    return dict(json.loads(row.locator("pre").inner_text())) if row.count() else {}


def test_from_the_tag_to_a_proof_that_the_next_ingestion_leaves(
    sandbox_portal: Portal,
    browser_page: Page,
    visitors: dict[str, str],
    overlay: Path,
    tmp_path: Path,
) -> None:
    page, server = browser_page, visitors["DATAHUB_GMS_URL"]
    catalog = f"{server}/dataset/{quote(URN, safe='')}/"
    ingest(tmp_path, overlay, visitors)
    tag(server)
    sandbox_portal.cli("tokenize", "watch", "--once", "--environment", "Sandbox")
    sandbox_portal.open(page, role="steward", path="/tokenization")

    page.goto(catalog)
    expect(page.get_by_text("tokenize/status:WAITING").last).to_be_visible()
    expect(page.get_by_text(re.compile(r"- `email`: ")).first).to_be_visible()
    page.get_by_role("link", name="open the dataset in Steward Portal").click()

    expect(page.get_by_text("Tick the columns that shall get tokens.").last).to_be_visible(
        timeout=SLOW
    )
    tick_first_row(page.get_by_test_id("stDataFrame").last)
    expect(page.get_by_text("1 column · 300 values").first).to_be_visible(timeout=SLOW)
    tap(page.get_by_role("radio", name="Rewrite").first)
    expect(page.get_by_text("Nobody reads or writes the table").first).to_be_visible(timeout=SLOW)
    tap(page.get_by_text("Clean up afterwards").first)
    press(page, "Tokenize 300 rows")
    press(page.get_by_role("dialog").last, "Tokenize now")
    expect(page.get_by_text("300 of 300 rows were changed.").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("VACUUM and ANALYZE of").first).to_be_visible(timeout=SLOW)

    written = proof(page, catalog)
    assert (written["rows_updated"], written["columns"]) == (300, ["email"])
    documented = page.locator("pre").first.inner_text()
    assert f"/tokenization?run={written['run_id']}" in page.content()

    ingest(tmp_path, overlay, visitors)

    assert proof(page, catalog) == {}, "an ingestion replaces the custom properties as a whole"
    assert page.locator("pre").first.inner_text() == documented
    expect(page.get_by_text("tokenize/status:SUCCESS").last).to_be_visible()
    page.goto(sandbox_portal.url + "/tokenization?view=check")
    press(page, "Compare now")
    expect(page.get_by_text("DataHub has lost the proof").first).to_be_attached(timeout=SLOW)
    assert proof(page, catalog) == written
