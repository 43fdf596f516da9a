"""A mount and its unmount through the page, in a real browser, as a new operator would."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.browser import PATIENCE, choose, fill, press, settle, tap, wait_for_rows
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLOW = 2 * PATIENCE


def test_mount_and_unmount_through_the_page(sandbox_portal: Portal, browser_page: Page) -> None:
    page = browser_page
    sandbox_portal.open(page, role="operator", path="/mounts")
    press(page, "Mount …")
    dialog = page.get_by_role("dialog").last
    choose(dialog, re.compile("Target"), "s3-prod-eu")
    fill(dialog, Host="compute-07")
    dialog.get_by_label("Backup job").first.fill("434343")
    dialog.get_by_label("Backup job").first.press("Tab")
    press(dialog, "Mount")
    # The job runs, ends, and its row is in the list without a reload.
    expect(page.get_by_text("mounted successfully").first).to_be_visible(timeout=SLOW)
    found = sandbox_portal.cli_json("mounts", "status", "434343", "s3-prod-eu")
    assert (found["mounted"], found["host"]) == (True, "compute-07")
    page.goto(f"{sandbox_portal.url}/mounts?view=hosts&host=compute-07")
    expect(page.get_by_role("heading", name="compute-07").last).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("The DMS server reads dms.compute-07").first).to_be_visible(
        timeout=SLOW
    )

    page.goto(f"{sandbox_portal.url}/mounts?entry={found['id']}")
    press(page, "Unmount …")
    expect(page.get_by_text("a physical unmount will be sent").last).to_be_visible(timeout=SLOW)
    press(page.get_by_role("dialog").last, "Unmount", exact=True)
    expect(page.get_by_text("unmounted successfully").first).to_be_visible(timeout=SLOW)
    assert not sandbox_portal.cli_json("mounts", "status", "434343", "s3-prod-eu")["mounted"]


def test_the_filters_are_a_link_and_the_csv_follows_them(
    sandbox_portal: Portal, browser_page: Page
) -> None:
    page = browser_page
    sandbox_portal.open(page, path="/mounts?view=history&host=compute-05&mounted=no")
    expect(page.get_by_role("combobox", name="Host").first).to_have_value(re.compile(r"compute-05"))
    with page.expect_download() as download:
        tap(page.get_by_test_id("stDownloadButton").get_by_role("button").last)
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("id,backup_target_id,jobid,host")
    assert len(lines) > 100
    assert all(",compute-05,false," in line for line in lines[1:])


def test_what_a_clicked_row_opens_comes_into_view(
    sandbox_portal: Portal, browser_page: Page
) -> None:
    page = browser_page
    page.set_viewport_size({"width": 1366, "height": 800})
    sandbox_portal.open(page, path="/mounts")
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for()
    settle(page)
    wait_for_rows(table)
    table.click(position={"x": 16, "y": 52})  # the box of the first row: the table is a canvas
    drawer = page.get_by_role("dialog", name=re.compile("^Entry "))
    expect(drawer).to_be_in_viewport()
    expect(page).to_have_url(re.compile("entry="))
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(page).not_to_have_url(re.compile("entry="))
