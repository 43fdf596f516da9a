"""`python -m backend changes`: every command, the status it ends with, and who answered."""

import json

import pytest

from backend.changes import lifecycle, service
from tests.backend.changes.conftest import ONE, World, world  # noqa: F401 - a fixture
from tests.backend.cli.conftest import RunCli


@pytest.fixture
def number(world: World) -> int:  # noqa: F811 - as above
    world.rule(ONE)
    found = world.ask()
    assert found is not None
    return found


def test_a_request_is_listed_and_shown(run_cli: RunCli, number: int) -> None:
    listed = json.loads(run_cli("changes", "list", "--which", "to_approve", "--json").out)
    assert [(each["id"], each["status"]) for each in listed["items"]] == [(number, "waiting")]
    assert "Write a line" in run_cli("changes", "list", "--status", "waiting").out
    assert run_cli("changes", "list", "--environment", "prod", "--status", "failed").out == (
        "No change.\n"
    )
    assert "Write a line" in run_cli("changes", "list", "--text", "ANN table").out
    assert run_cli("changes", "list", "--text", "bob").out == "No change.\n"
    shown = run_cli("changes", "show", str(number), "--now").out
    assert f"Change {number}: Write a line, table a (prod, 5 letters)" in shown
    assert "Now: it would still do the same." in shown


def test_what_was_frozen_is_told_in_words(
    run_cli: RunCli,
    world: World,  # noqa: F811 - as above
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen = {"columns": ["email", "phone"], "clean_up": False, "plan_digest": "ab12"}
    view = world.view(number).model_copy(update={"shown": frozen, "details": {}})
    monkeypatch.setattr(service, "get", lambda *_args, **_asked: view)
    lines = run_cli("changes", "show", str(number)).out.splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        "  columns: email, phone",
        "  plan digest: ab12",
    ]


def test_it_is_approved_and_carried_out(
    run_cli: RunCli,
    world: World,  # noqa: F811 - as above
    number: int,
) -> None:
    unsure = run_cli("changes", "approve", str(number))
    assert unsure.status != 0
    assert world.view(number).status == "waiting", "without --yes nothing is approved"
    done = run_cli("changes", "approve", str(number), "--comment", "checked", "--yes", "--json")
    answer = json.loads(done.out)
    assert (done.status, answer["status"]) == (0, "approved")
    assert answer["steps"][-1]["text"] == "checked"
    assert world.run_job(number).status == "succeeded"
    assert world.written() == [("hello", "ann")]
    twice = run_cli("changes", "approve", str(number), "--yes")
    assert twice.status != 0
    assert f"Change {number} is succeeded; there is nothing to decide any more." in twice.err


def test_a_rejection_has_a_reason(run_cli: RunCli, world: World, number: int) -> None:  # noqa: F811 - as above
    blank = run_cli("changes", "reject", str(number), "--reason", " ")
    assert blank.status != 0
    assert "Say why it is rejected" in blank.err
    done = run_cli("changes", "reject", str(number), "--reason", "freeze")
    assert (done.status, world.view(number).outcome) == (0, "freeze")
    assert f"Change {number} is rejected. freeze" in done.out


def test_an_admin_takes_a_request_back(run_cli: RunCli, world: World, number: int) -> None:  # noqa: F811 - as above
    assert run_cli("changes", "comment", str(number), "DPO-81").status == 0
    done = run_cli("changes", "withdraw", str(number), "--json")
    assert json.loads(done.out)["status"] == "withdrawn"
    assert [step.what for step in world.view(number).steps] == ["asked", "commented", "withdrawn"]
    late = run_cli("changes", "comment", str(number), "too late")
    assert late.status != 0
    assert f"Change {number} is withdrawn; nothing more can be said to it." in late.err


def test_a_release_keeps_the_order(run_cli: RunCli, world: World, number: int) -> None:  # noqa: F811 - as above
    second = world.ask(text="second")
    assert second is not None
    done = run_cli("changes", "approve", str(second), str(number), "--yes", "--json")
    first, after = json.loads(done.out)["items"]
    assert (first["id"], after["id"], after["after"]) == (second, number, second)
    world.run_job(second)
    lifecycle.track(world.database)
    world.run_job(number)
    assert [text for text, _ in world.written()] == ["second", "hello"]


def test_a_request_that_is_not_there(run_cli: RunCli) -> None:
    for command in (["show", "99"], ["approve", "99", "--yes"], ["withdraw", "99"]):
        ended = run_cli("changes", *command)
        assert ended.status != 0
        assert "99" in ended.err


def test_a_rule_is_set_and_a_weaker_one_waits(run_cli: RunCli, world: World) -> None:  # noqa: F811 - as above
    strict = run_cli("changes", "policy", "set", "PROD", "demo.write", "approve")
    assert strict.out == "Write a line in prod: 1 approval.\n"
    weaker = run_cli("changes", "policy", "set", "prod", "demo.write", "confirm", "--json")
    answer = json.loads(weaker.out)
    assert (weaker.status, answer["status"]) == (0, "waiting")
    listed = json.loads(run_cli("changes", "policy", "list", "Prod", "--json").out)["items"]
    modes = {each["action"]: each["rule"]["mode"] for each in listed}
    assert modes["demo.write"] == "approve", "the old rule holds until the weaker one is approved"
    assert world.view(answer["change_id"]).action == "changes.policy"
