"""A new admin in a real browser: an environment of real servers, tested, broken once, repaired."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine, make_url

from backend.dms.schema import LEDGER_NAME, metadata
from tests.fixtures.browser import PATIENCE, fill, press, settle, tap
from tests.fixtures.portal import Portal, running_portal

pytestmark = [pytest.mark.browser]

SLOW = 2 * PATIENCE  # a first test imports vendors' SDKs


def open_kind(page: Page, label: str) -> None:
    tap(page.get_by_role("radiogroup").locator("label", has_text=label))
    expect(page.get_by_role("heading", name=label).last).to_be_visible()
    settle(page)


def save(page: Page, label: str) -> None:
    press(page, "Save", exact=True)
    expect(page.get_by_text(f"The {label} connection of Live is saved.").last).to_be_visible()
    settle(page)
    # Its caption has another state now, and it is still the chosen one.
    chosen = page.get_by_role("radiogroup").locator("label:has(input:checked)")
    expect(chosen).to_contain_text(label)


class TestRealServers:
    @pytest.fixture
    def portal(self, tmp_path: Path) -> Iterator[Portal]:
        """Its own: the page begins without any environment."""
        with running_portal(tmp_path) as portal:
            yield portal

    def test_are_described_tested_broken_and_repaired(
        self,
        portal: Portal,
        browser_page: Page,
        postgres_url: str,
        mariadb_url: str,
        rabbitmq_url: str,
    ) -> None:
        page = browser_page
        metadata.create_all(create_engine(mariadb_url), tables=[metadata.tables[LEDGER_NAME]])
        postgres = make_url(postgres_url)
        portal.open(page, path="/connections")
        fill(page, Name="Live")
        press(page, "Add environment")
        expect(page.get_by_text("Environment Live is added.").last).to_be_visible()

        open_kind(page, "PostgreSQL")
        fill(
            page,
            Host=str(postgres.host),
            Port=str(postgres.port),
            User=str(postgres.username),
            Password=str(postgres.password),
        )
        # "Further databases" holds the word, too.
        page.get_by_role("textbox", name="Database", exact=True).fill(str(postgres.database))
        save(page, "PostgreSQL")
        open_kind(page, "Mount ledger")
        fill(page, Database_URL=mariadb_url)
        save(page, "Mount ledger")
        expect(page.get_by_role("textbox", name="Database URL")).to_have_value(
            mariadb_url.replace(f":{make_url(mariadb_url).password}@", "@")
        )
        open_kind(page, "RabbitMQ")
        fill(page, Broker_URL=rabbitmq_url)
        save(page, "RabbitMQ")

        press(page, "Test all")
        expect(page.get_by_text("3 of 3 connections work").last).to_be_visible(timeout=SLOW)

        for label, field in (
            ("PostgreSQL", "Password"),
            ("Mount ledger", "Password"),
            ("RabbitMQ", "Password"),
        ):
            open_kind(page, label)
            fill(page, **{field: "wrong-planted"})
            press(page, "Test without saving")
            expect(page.get_by_text(f"Unsaved edits of {label}").last).to_be_visible(timeout=SLOW)
            expect(page.get_by_text("What to do:").first).to_be_visible()
            assert "wrong-planted" not in page.inner_text("body")
            settle(page)
            press(page, "Test connection")
            expect(page.get_by_text(re.compile(f"{label} answered in")).last).to_be_visible(
                timeout=SLOW
            )
        assert str(postgres.password) not in page.content()
        assert str(postgres.password) not in portal.log

    def test_the_second_of_two_admins_is_told(
        self, portal: Portal, browser_page: Page, second_page: Page
    ) -> None:
        portal.cli("environments", "add", "Shared")
        portal.cli("connections", "set", "Shared", "directory", "endpoint=http://first.example/g")
        address = "/connections?environment=Shared&kind=directory"
        for page in (browser_page, second_page):
            portal.open(page, path=address)
            expect(page.get_by_role("heading", name="Directory").last).to_be_visible()
            settle(page)
        fill(browser_page, Endpoint="http://one.example/g")
        press(browser_page, "Save", exact=True)
        expect(browser_page.get_by_text("of Shared is saved").last).to_be_visible()
        fill(second_page, Endpoint="http://two.example/g")
        press(second_page, "Save", exact=True)
        expect(second_page.get_by_text("Nothing of yours was saved").last).to_be_visible()
        press(second_page, "Show what is saved now")
        settle(second_page)
        expect(second_page.get_by_role("textbox", name="Endpoint").last).to_have_value(
            "http://one.example/g"
        )


@pytest.mark.slow
class TestDeleting:
    def test_the_environment_that_is_open_afterwards_is_the_one_that_is_named(
        self, portal: Portal, browser_page: Page
    ) -> None:
        page = browser_page
        for name in ("Stays", "Goes"):
            portal.cli("environments", "add", name)
        portal.cli("environments", "default", "Stays")
        portal.open(page, path="/connections?environment=Goes&kind=aws")
        expect(page.get_by_role("heading", name="AWS").last).to_be_visible()
        press(page, "Edit …")
        press(page, "Delete …")
        typed = page.get_by_role("textbox", name="to confirm")
        typed.wait_for()
        settle(page)
        typed.fill("Goes")
        typed.press("Tab")
        press(page, "Delete the environment")
        expect(page.get_by_text("Environment Goes is deleted.").last).to_be_visible()
        settle(page)
        chosen = page.get_by_role("combobox", name="Environment").first
        expect(chosen).to_have_value("Stays (default)")
        kind = page.get_by_role("radiogroup").locator("label:has(input:checked)")
        expect(kind).to_contain_text("AWS")


class TestSandbox:
    def test_client_info_is_there_without_anybody_asking(
        self, sandbox_portal: Portal, browser_page: Page
    ) -> None:
        sandbox_portal.open(browser_page, path="/connections?kind=datahub")
        expect(browser_page.get_by_role("heading", name="DataHub").last).to_be_visible()
        expect(browser_page.get_by_text("Client info", exact=True).last).to_be_visible()
        settle(browser_page)
        client_id = browser_page.get_by_test_id("stCode").first.inner_text().strip()
        assert client_id
        printed = sandbox_portal.cli("refresh_client_info", "--all", "--verbose").stdout
        assert f"client_id: {client_id}" in printed
        for words in (
            "Auto-retrieving client info for default environment: Sandbox",
            f"Successfully auto-retrieved client info: {client_id}",
        ):
            sandbox_portal.wait_until_said(words)

    def test_a_badge_of_the_overview_leads_to_its_environment(
        self, sandbox_portal: Portal, browser_page: Page
    ) -> None:
        sandbox_portal.open(browser_page)
        tap(browser_page.get_by_role("link", name="Sandbox", exact=True).first)
        expect(browser_page).to_have_url(re.compile("environment=Sandbox"))
        expect(browser_page.get_by_role("button", name="Test all").last).to_be_visible()
