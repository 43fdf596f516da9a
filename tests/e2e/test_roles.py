"""Each of the five jobs as each of the four roles, from the sign-in form to the result.

Who may do the job does it, as a person would: sign in, take the sidebar, fill in, confirm, read
the result. Who may not sees the page, reads which roles may, finds no button, not even by a deep
link, and leaves no trace. The admin works in the dark theme, everybody else in the light one; each
dialog goes through axe-core.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from backend.sandbox.postgres_tables import NEWSLETTER, ORDERS
from tests.fixtures.browser import (
    PATIENCE,
    choose,
    fill,
    new_page,
    press,
    settle,
    tap,
    tick,
    violations,
)
from tests.fixtures.plans import plan_by
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLOW = 2 * PATIENCE  # a first call imports a vendor's SDK
ATHENA = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.{},PROD)"
STOCKS = ATHENA.format("financial_data.us_stocks_sip_v2")
PRICES = ATHENA.format("financial_data.polygon_prices")


def dialog(page: Page) -> Locator:
    """The open dialog, accessible."""
    found = page.get_by_role("dialog").last
    expect(found).to_be_visible(timeout=SLOW)
    settle(page)
    assert violations(page) == []
    return found


# -- the jobs --------------------------------------------------------------------------------------


def probe_connections(page: Page, role: str) -> None:
    press(page, "Test all")
    whole = re.compile(r"^(\d+) of \1 connections work$")
    expect(page.get_by_text(whole).last).to_be_visible(timeout=SLOW)
    tap(page.get_by_role("radiogroup").locator("label", has_text="DataHub").first)
    expect(page.get_by_role("heading", name="DataHub").last).to_be_visible()
    expect(page.get_by_text("DataHub answered in").last).to_be_visible()
    if role != "admin":
        return
    client_id = page.get_by_text("Client ID", exact=True).last
    expect(client_id).to_be_visible()
    expect(page.get_by_test_id("stCode").first).to_have_text(re.compile(r"\w"))


def change_a_user(page: Page, role: str) -> None:
    email = {"steward": "adrian_smith7@example.com", "admin": "felix.brandt@example.com"}[role]
    plan_by(page, "Plan now")
    tick(page, re.compile(f"Apply to {email}", re.IGNORECASE))
    press(page, "Apply 1 ticked")
    press(dialog(page), "Change 1 user")
    expect(page.get_by_role("button", name="Revert").last).to_be_visible(timeout=SLOW)
    settle(page)
    applied = page.get_by_test_id("stMetric").filter(has_text="Applied")
    expect(applied).to_contain_text("1")


def mount_a_target(page: Page, role: str) -> None:
    job, host = {"operator": ("424242", "compute-05"), "admin": ("424243", "compute-06")}[role]
    press(page, "Mount …")
    form = dialog(page)
    choose(form, re.compile("Target"), "s3-prod-eu")
    fill(form, Host=host)
    form.get_by_label("Backup job").fill(job)
    form.get_by_label("Backup job").press("Tab")
    press(form, "Mount")
    said = page.get_by_text("mounted successfully").or_(page.get_by_text("already mounted"))
    expect(said.first).to_be_visible(timeout=SLOW)
    page.goto(f"{page.url.partition('?')[0]}?view=hosts&host={host}")
    expect(page.get_by_role("heading", name=host).last).to_be_visible(timeout=SLOW)


def tokenize_a_table(page: Page, role: str) -> None:
    table, rows = {"steward": (NEWSLETTER, "800"), "admin": (ORDERS, "3,000")}[role]
    press(page, "Pick a table …")
    tap(dialog(page).get_by_test_id("stButtonGroup").get_by_text("URN", exact=True))
    fill(page, Dataset_URN=table.urn)
    press(dialog(page), "Preview")
    expect(page.get_by_role("button", name="Preview again").last).to_be_visible(timeout=SLOW)
    settle(page)
    press(page, re.compile(f"Tokenize {rows} rows"))
    press(dialog(page), "Tokenize now")
    said = f"{rows} of {rows} rows were changed."
    expect(page.get_by_text(re.compile(said)).first).to_be_visible(timeout=SLOW)


def ingest_a_dataset(page: Page, role: str) -> None:
    dataset = {"operator": STOCKS, "admin": PRICES}[role]
    tap(page.get_by_text("By URN, or from DataHub's search").first)
    fill(page, Dataset_URN=dataset)
    press(page, "Review …")
    press(dialog(page), "Start the run")
    expect(page.get_by_text("AWS accepted run").first).to_be_visible(timeout=SLOW)
    ended = page.get_by_text("The function ended without an error")
    expect(ended.first).to_be_visible(timeout=SLOW)


@dataclass(frozen=True)
class Job:
    """page: its name in the sidebar. only: what others read. buttons: what they do not find, not
    even at `deep`. area: how its actions begin in the audit log.
    """

    page: str
    may: tuple[str, ...]
    only: str
    buttons: tuple[str, ...]
    deep: str
    area: str
    do: Callable[[Page, str], None]


JOBS = (
    Job(
        "Connections",
        ("operator", "admin"),
        "Only operators and admins test connections",
        ("Test connection", "Test all", "Save", "Add …", "Edit …"),
        "/connections?environment=Sandbox&kind=postgres",
        "connections:",
        probe_connections,
    ),
    Job(
        "User sync",
        ("steward", "admin"),
        "Only stewards and admins plan and apply changes",
        ("Plan now", "Apply", "Tick this page", "Revert"),
        "/user-sync?view=plan&plan=1",
        "user_sync:",
        change_a_user,
    ),
    Job(
        "Mounts",
        ("operator", "admin"),
        "Only operators and admins mount and unmount",
        ("Mount …", "Unmount …", "Soft-delete …", "More"),
        "/mounts?view=active",
        "mounts:",
        mount_a_target,
    ),
    Job(
        "Tokenization",
        ("steward", "admin"),
        "Only stewards and admins preview and run tokenizations",
        ("Preview", "Tokenize"),
        f"/tokenization?view=tokenize&dataset={quote(NEWSLETTER.urn)}",
        "tokenization:",
        tokenize_a_table,
    ),
    Job(
        "Ingestion",
        ("operator", "admin"),
        "Only operators and admins start runs",
        ("Review …", "Start the run", "Run again …"),
        f"/ingestion?view=run&dataset_urn={quote(PRICES)}",
        "ingestion:",
        ingest_a_dataset,
    ),
)


# -- who does them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """Somebody who has signed in, in a browser of their own."""

    role: str
    name: str
    page: Page
    portal: Portal

    def traces(self, area: str) -> list[str]:
        """What they did: their actions in the audit log, and their tests of connections."""
        state = self.portal.folder / "state" / "portal.sqlite"
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as database:
            found = database.execute(
                "SELECT action FROM audit_events WHERE actor_name = :name AND action LIKE :area"
                " UNION ALL SELECT 'connections:' || kind FROM connection_tests"
                " WHERE tested_by = :name AND 'connections:' LIKE :area",
                {"name": self.name, "area": f"{area}%"},
            ).fetchall()
        return [action for (action,) in found]


@pytest.fixture(scope="module", params=["viewer", "steward", "operator", "admin"])
def person(
    request: pytest.FixtureRequest, sandbox_portal: Portal, browser: Browser
) -> Iterator[Person]:
    role = request.param
    page = new_page(browser, color_scheme="dark" if role == "admin" else "light")
    sandbox_portal.open(page, role)
    expect(page.get_by_text(f"({role})").last).to_be_visible()
    yield Person(role, sandbox_portal.account(role)[0], page, sandbox_portal)
    page.context.close()


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.page)
def test_whoever_may_gets_the_job_done_and_whoever_may_not_is_told(
    person: Person, job: Job
) -> None:
    page = person.page
    # The drawer of the last job's run lies over the menu; it is drawn anew until that is over.
    settle(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    tap(page.get_by_role("link", name=job.page, exact=True).last)
    expect(page.get_by_role("heading", name=job.page, exact=True, level=1).last).to_be_visible()
    settle(page)
    if person.role in job.may:
        job.do(page, person.role)
        expect(page.get_by_text(job.only)).to_have_count(0)
        assert person.traces(job.area), "what was done is known under their name"
        return
    denied(page, person, job)
    page.goto(person.portal.url + job.deep)
    expect(page.get_by_role("heading", name=job.page, exact=True, level=1).last).to_be_visible()
    settle(page)
    denied(page, person, job)
    assert person.traces(job.area) == []


def denied(page: Page, person: Person, job: Job) -> None:
    """The page is there, says why, and has no button of the job."""
    expect(page.get_by_text(f"{job.only}; your role is {person.role}.").last).to_be_visible()
    main = page.get_by_test_id("stMain")
    for name in job.buttons:
        pattern = re.compile(f"(^|[a-z_]){re.escape(name)}")
        expect(main.get_by_role("button", name=pattern)).to_have_count(0)
