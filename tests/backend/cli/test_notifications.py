"""notifications, and a second factor that an admin takes off, on the command line."""

import json

import pyotp

from backend.accounts import second_factor, service
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from tests.backend.cli.conftest import RunCli

SLACK = "slack://TokenA123/TokenB456/TokenC789abcdefghijklmnop/#alerts"


def test_the_kinds_of_events(run_cli: RunCli) -> None:
    kinds = {
        each["name"]
        for each in json.loads(run_cli("notifications", "kinds", "--json").out)["items"]
    }
    assert {"changes.waiting", "changes.decided"} <= kinds


def test_a_channel_comes_and_goes_and_its_address_is_never_shown(run_cli: RunCli) -> None:
    made = run_cli(
        "notifications", "add", "ops", "--event", "changes.waiting", "--json", stdin=SLACK + "\n"
    )
    assert made.status == 0, made.err
    listed = run_cli("notifications", "list", "--json")
    (item,) = json.loads(listed.out)["items"]
    assert (item["name"], item["kinds"], item["enabled"]) == ("ops", ["changes.waiting"], True)
    assert run_cli("notifications", "disable", "ops").status == 0
    assert not json.loads(run_cli("notifications", "list", "--json").out)["items"][0]["enabled"]
    assert run_cli("notifications", "remove", "ops", "--yes").status == 0
    assert json.loads(run_cli("notifications", "list", "--json").out)["items"] == []
    assert "TokenB456" not in made.out + made.err + listed.out


def test_an_event_that_does_not_exist_is_refused_and_nothing_is_kept(run_cli: RunCli) -> None:
    done = run_cli("notifications", "add", "ops", "--event", "no.such", stdin=SLACK + "\n")
    assert done.status == 2
    assert "no.such" in done.err
    assert json.loads(run_cli("notifications", "list", "--json").out)["items"] == []


def test_a_lost_second_factor_is_taken_off(run_cli: RunCli, database: Database) -> None:
    run_cli("accounts", "add", "ann", "--role", "steward", stdin="velvet otter counts lamps\n")
    with database.write() as session:
        view = service.get_by_name(session, SYSTEM, name="ann")
        ann = Actor(view.id, "ann", Role.STEWARD, "user")
        enrolment = second_factor.begin(session, ann)
    second_factor.confirm(database, ann, code=pyotp.TOTP(enrolment.secret).now())
    (item,) = json.loads(run_cli("accounts", "list", "--json").out)["items"]
    assert item["second_factor"] is True
    done = run_cli("accounts", "reset-second-factor", "ann", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["second_factor"] is False
