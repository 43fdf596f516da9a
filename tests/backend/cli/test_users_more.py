"""What the page can do beside plan, apply and revert, as commands."""

import json

from tests.backend.user_sync import conftest as rooms

directory, om, world = rooms.directory, rooms.om, rooms.world


def test_every_verb_of_the_page_is_a_command(run_cli, world):
    plan = json.loads(run_cli("users", "plan", "test", "--json").out)
    ended = run_cli(
        "users", "ignore", str(plan["plan_id"]), "--email", "lena.novak@example.com",
        "--field", "displayName", "--reason", "married", "--json",
    )  # fmt: skip
    assert (ended.status, json.loads(ended.out)["summary"]["update"]) == (
        0,
        plan["summary"]["update"] - 1,
    )
    items = json.loads(run_cli("users", "ignored", "test", "--json").out)["items"]
    assert items[0]["email"] == "lena.novak@example.com"
    assert run_cli("users", "ignored", "test", "--forget", str(items[0]["id"])).status == 0
    assert "page_size=1000" in run_cli("users", "settings", "test").out
    changed = run_cli("users", "settings", "test", "page_size=200", "domain_mode=add", "--json")
    assert json.loads(changed.out)["settings"]["domain_mode"] == "add"
    assert "no setting nope" in run_cli("users", "settings", "test", "nope=1").err
    assert "0 6 * * 1-5" in run_cli("users", "schedule", "test", "0 6 * * 1-5").out
    assert "never" in run_cli("users", "schedule", "test", "off").out
    assert "aaron_johnson0@example.com" not in run_cli("users", "map", "test").out
    assert "brian_smith7" in run_cli("users", "try", "test").out
    assert "Sees e-mails: yes" in run_cli("users", "preflight", "test").out
    assert run_cli("users", "leavers", str(plan["plan_id"]), "--json").status == 0
