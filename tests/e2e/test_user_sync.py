"""A new user: plan the sandbox, tick, provoke a conflict, apply live, revert; then the CLI."""

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.fixtures.browser import (
    HeldAnswers,
    box_of,
    fill,
    press,
    settle,
    tick,
    wait_until_above,
)
from tests.fixtures.plans import plan_by
from tests.fixtures.portal import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KINDS = (
    "Will change",
    "Unknown domain",
    "Not in OpenMetadata",
    "Duplicate",
    "Invalid",
    "Same",
    "All",
)
LENA = "lena.novak@example.com"


def edit_as_somebody_else(page: "Page", link: str, name: str) -> None:
    """What carla.chen does in OpenMetadata between plan and apply."""
    other = page.context.new_page()
    other.goto(link)
    other.get_by_label("Display name").first.fill(name)
    other.get_by_role("button", name="Save").click()  # not a page of the portal: nothing to settle
    other.get_by_text("by carla.chen").wait_for()
    other.close()


def test_plan_tick_conflict_apply_and_undo(sandbox_portal: Portal, browser_page: "Page") -> None:
    page = browser_page
    sandbox_portal.open(page, role="steward", path="/user-sync")
    plan = plan_by(page, "Plan now")
    for kind in KINDS:
        page.get_by_role("radio", name=kind).first.wait_for()
    settle(page)
    # The diff is the page: a row is seen without scrolling.
    wait_until_above(page.get_by_role("checkbox", name="Apply to").first, 300)
    tick(page, "Apply to aaron_johnson0@example.com")
    page.get_by_role("button", name="Apply 1 ticked").last.wait_for()
    tick(page, f"Apply to {LENA}")
    page.get_by_role("button", name="Apply 2 ticked").last.wait_for()
    link = page.get_by_role("link", name=LENA).last.get_attribute("href")
    assert link
    edit_as_somebody_else(page, link, "Lena Horvat")

    press(page, "Apply 2 ticked")
    page.get_by_text("roles, teams and everything else stay").first.wait_for()
    press(page, "Change 2 users")
    page.get_by_role("button", name="Revert").last.wait_for()
    both = [f"--email={email}" for email in ("aaron_johnson0@example.com", LENA)]
    run = sandbox_portal.cli_json("users", "apply", str(plan), *both, check=False)
    states = {row["email"]: row["status"] for row in run["rows"]}
    assert states == {"aaron_johnson0@example.com": "applied", LENA: "conflict"}
    (conflict,) = [row["reason"] for row in run["rows"] if row["status"] == "conflict"]
    assert "carla.chen" in conflict

    settle(page)
    undo = plan_by(page, "Revert")
    page.get_by_text("takes back run").first.wait_for()
    press(page, "Tick all found")
    press(page, "Apply 1 ticked")
    press(page, "Change 1 user")
    page.get_by_text(f"of plan {undo},").first.wait_for()
    page.get_by_role("button", name="Revert").last.wait_for()


def test_ticks_made_while_the_page_is_redrawn_are_kept(
    sandbox_portal: Portal, browser_page: "Page"
) -> None:
    plan = sandbox_portal.cli_json("users", "plan", "sandbox")["plan_id"]
    page, answers = browser_page, HeldAnswers(browser_page)
    sandbox_portal.open(page, role="steward", path=f"/user-sync?plan={plan}")
    boxes = page.get_by_role("checkbox", name="Apply to")
    places = box_of(page, "Apply to")
    boxes.nth(1).wait_for(state="attached")
    answers.hold()
    fill(page, **{"E-mail_or_name": "example.com"})  # every row of the page, drawn anew
    answers.wait_for_a_whole_run()
    places.nth(0).click()  # a tick, while what that run drew is on its way to the browser
    answers.let_go(keep_holding=True)
    places.nth(1).click()  # and another, before the answer to the first one is there
    answers.let_go()
    page.get_by_role("button", name="Apply 2 ticked").last.wait_for()
    settle(page)
    expect(boxes.nth(0)).to_be_checked()
    expect(boxes.nth(1)).to_be_checked()


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
