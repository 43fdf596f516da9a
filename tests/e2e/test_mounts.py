"""A mount and its unmount through the page, in a real browser, as a new operator would."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.sandbox import dms_agent, ledger
from tests.fixtures.portal import Portal

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def lab_portal(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Portal:
    """The portal with an environment that has the sandbox's ledger and agents."""
    folder: Path = tmp_path_factory.mktemp("ledger")
    part = ledger.start(folder)
    portal.cli("environments", "add", "Lab", "--default")
    portal.cli("connections", "set", "Lab", "ledger", f"url={part.settings['url']}")
    portal.cli("connections", "set", "Lab", "rabbitmq", f"url={dms_agent.url()}")
    return portal


@pytest.mark.slow
def test_mount_and_unmount_through_the_page(lab_portal: Portal, browser_page: Page) -> None:
    page = browser_page
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    lab_portal.sign_in(page, role="operator", path="/mounts")
    page.get_by_role("button", name="Mount …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name=re.compile("Target")).click()
    page.get_by_role("option", name="s3-prod-eu").click()
    dialog.get_by_label("Host").fill("compute-07")
    dialog.get_by_label("Host").press("Tab")
    dialog.get_by_label("Job id").fill("424242")
    dialog.get_by_label("Job id").press("Tab")
    dialog.get_by_role("button", name="Mount", exact=True).click()
    # The job runs, ends, and its row is in the list without a reload.
    expect(page.get_by_text("mounted successfully").first).to_be_visible()
    found = lab_portal.cli_json("mounts", "status", "424242", "s3-prod-eu")
    assert (found["mounted"], found["host"]) == (True, "compute-07")
    expect(page.get_by_text("compute-07 (1)").first).to_be_visible()

    page.goto(f"{lab_portal.url}/mounts?entry={found['id']}")
    page.get_by_role("button", name="Unmount …").click()
    expect(page.get_by_text("a physical unmount will be sent")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Unmount", exact=True).click()
    expect(page.get_by_text("unmounted successfully").first).to_be_visible()
    assert not lab_portal.cli_json("mounts", "status", "424242", "s3-prod-eu")["mounted"]


def test_the_filters_are_a_link_and_the_csv_follows_them(
    lab_portal: Portal, browser_page: Page
) -> None:
    page = browser_page
    page.set_default_timeout(60_000)
    lab_portal.sign_in(page, path="/mounts?view=history&host=compute-05&mounted=no")
    expect(page.get_by_label("Host").first).to_have_value("compute-05", timeout=60_000)
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("id,backup_target_id,jobid,host")
    assert len(lines) > 100
    assert all(",compute-05,false," in line for line in lines[1:])
