"""A new user: plan the sandbox, tick, provoke a conflict, apply live, undo; then the CLI."""

import json
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.portal import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KINDS = ("Will change", "Unknown domain", "Not in OpenMetadata", "Duplicate", "Invalid", "Same")


def tick(page: "Page", email: str) -> None:
    page.get_by_role("checkbox", name=f"Apply to {email}").check(force=True)


def edit_as_somebody_else(page: "Page", link: str, name: str) -> None:
    """What carla.chen does in OpenMetadata between plan and apply."""
    other = page.context.new_page()
    other.goto(link)
    other.get_by_label("Display name").fill(name)
    other.get_by_role("button", name="Save").click()
    other.get_by_text("by carla.chen").wait_for()
    other.close()


def test_plan_tick_conflict_apply_and_undo(sandbox_portal: Portal, browser_page: "Page") -> None:
    page = browser_page
    sandbox_portal.sign_in(page, role="steward", path="/user-sync")
    page.get_by_role("button", name="Plan now").click()
    for kind in KINDS:
        page.get_by_text(kind, exact=True).first.wait_for(timeout=60_000)
    tick(page, "aaron_johnson0@example.com")
    page.get_by_role("button", name="Apply 1 ticked").wait_for()
    tick(page, "lena.novak@example.com")
    page.get_by_role("button", name="Apply 2 ticked").wait_for()
    link = page.get_by_role("link", name="lena.novak@example.com").get_attribute("href")
    assert link
    edit_as_somebody_else(page, link, "Lena Horvat")

    page.get_by_role("button", name="Apply 2 ticked").click()
    page.get_by_text("roles, teams and everything else stay").wait_for()
    page.get_by_role("button", name="Change 2 users").click()
    page.get_by_role("button", name="Undo").wait_for(timeout=60_000)
    run = sandbox_portal.cli_json("users", "apply", "1", check=False)
    states = {row["email"]: row["status"] for row in run["rows"]}
    assert states == {
        "aaron_johnson0@example.com": "applied",
        "lena.novak@example.com": "conflict",
    }
    (conflict,) = [row["reason"] for row in run["rows"] if row["status"] == "conflict"]
    assert "carla.chen" in conflict

    page.get_by_role("button", name="Undo").click()
    page.get_by_text("takes back run").first.wait_for()
    page.get_by_role("button", name="Tick all that the filters find").click()
    page.get_by_role("button", name="Apply 1 ticked").click()
    page.get_by_role("button", name="Change 1 user").click()
    page.get_by_text("Run 2 of plan 2").wait_for()
    page.get_by_role("button", name="Undo").wait_for(timeout=60_000)


def test_the_same_from_the_command_line_while_the_portal_runs(sandbox_portal: Portal) -> None:
    plan = sandbox_portal.cli_json("users", "plan", "sandbox")
    assert all(plan["summary"][kind] > 0 for kind in plan["summary"])
    done = sandbox_portal.cli(
        "users", "apply", str(plan["plan_id"]), "--email", "dana.fox@example.com", "--yes", "--json"
    )
    run = json.loads(done.stdout)
    assert run["summary"] == {"applied": 1, "conflict": 0, "failed": 0}
    undone = sandbox_portal.cli("users", "revert", str(run["run_id"]), "--yes", "--json")
    assert json.loads(undone.stdout)["summary"]["applied"] == 1
