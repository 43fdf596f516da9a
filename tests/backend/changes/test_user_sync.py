"""A user plan under approval, from the command line's 202 to the users that were changed."""

import json

import pytest

from backend.changes import lifecycle, policy
from backend.changes import service as changes
from backend.changes.rules import Rule
from backend.changes.schemas import ChangeView
from backend.core.access import SYSTEM, Actor, Role
from backend.core.errors import Waiting
from backend.jobs import broker, runner
from backend.models import Job
from backend.user_sync import service as sync
from backend.user_sync.fields import ATTRIBUTES
from backend.user_sync.schemas import PlanView
from tests.backend.cli.conftest import RunCli, run_cli  # noqa: F401 - a fixture
from tests.backend.user_sync.conftest import *  # noqa: F403 - the world of user sync
from tests.backend.user_sync.conftest import World

ANNA = "anna.kowalska@example.com"
SHELL = Actor(0, "cli:root", Role.ADMIN, "cli")


@pytest.fixture(autouse=True)
def _under_approval(world: World) -> None:
    broker.reset()
    runner.stopping.clear()
    with world.database.write() as session:
        policy.save(
            session,
            SYSTEM,
            environment=world.env,
            action="user_sync.apply",
            rule=Rule(mode="approve"),
        )


def _approve(world: World, number: int) -> None:
    with world.database.write() as session:
        changes.approve(session, Actor(0, "cli:eve", Role.ADMIN, "cli"), change_id=number)


def _view(world: World, number: int) -> ChangeView:
    with world.database.read() as session:
        return changes.get(session, SYSTEM, change_id=number)


def _work(world: World) -> None:
    """Run every queued job as a worker does, those that they queue included."""
    while True:
        with world.database.read() as session:
            waiting = [job.id for job in session.query(Job).filter_by(state="queued")]
        if not waiting:
            return
        for job_id in waiting:
            runner.run(job_id, world.database)


def test_the_command_prints_the_address_and_the_approved_plan_is_applied(
    world: World,
    run_cli: RunCli,  # noqa: F811 - as above
) -> None:
    plan = world.plan()
    ended = run_cli("users", "apply", str(plan.id), "--yes", "--json")
    answer = json.loads(ended.out)
    assert (ended.status, answer["status"]) == (0, "waiting")
    assert answer["change"].endswith(f"/changes?change={answer['change_id']}")

    number = answer["change_id"]
    assert _view(world, number).size == plan.changes
    assert _view(world, number).size_words == f"{plan.changes} users"
    assert _view(world, number).model_copy(update={"size": 1}).size_words == "1 user"
    shown = changes.would_do(world.database, SHELL, change_id=number).preview
    assert shown is not None
    assert shown.title == f"{plan.changes} users of plan {plan.id}"
    with world.database.read() as session:
        rows = sync.list_rows(session, SHELL, plan_id=plan.id).items
    said = ATTRIBUTES["displayName"].shown
    names = {row.email: (said(row.old_name), said(row.new_name)) for row in rows if row.sets_name}
    names["chloe_martin@example.com"] = "“Chloe␣ Martin”", "“Chloe Martin”"
    names["ines.duarte@example.com"] = "“Ine⟨U+0302⟩s Duarte”", "“Inês Duarte”"
    assert {line[0]: line[2:4] for line in shown.rows if line[1] == "Display name"} == names
    printed = run_cli("changes", "show", str(number), "--now").out
    assert shown.title in printed
    assert all(line[0] in printed for line in shown.rows)
    _approve(world, number)
    _work(world)
    lifecycle.track(world.database)
    view = _view(world, number)
    assert view.status == "succeeded", view.outcome
    items = world.items(world.start(plan))
    assert {item.state for item in items.values()} == {"applied"}


def test_a_plan_applied_meanwhile_is_not_applied_twice(world: World) -> None:
    plan = world.plan()
    with pytest.raises(Waiting) as caught, world.database.write() as session:
        sync.apply(session, SHELL, plan_id=plan.id)
    number = caught.value.document["change_id"]
    with world.database.write() as session:
        weaker = Rule(mode="confirm")
        with pytest.raises(Waiting):
            policy.save(
                session, SHELL, environment=world.env, action="user_sync.apply", rule=weaker
            )
    _approve(world, number)
    assert _view(world, number + 1).action == "changes.policy"
    _approve(world, number + 1)
    lifecycle.carry_out(world.database, number + 1)
    world.start(plan)
    lifecycle.carry_out(world.database, number)
    view = _view(world, number)
    assert view.status == "refused"
    assert "It was done already" in view.outcome


def test_a_plan_replaced_by_a_newer_one_that_was_applied_writes_over_nothing(world: World) -> None:
    """Its approval is of what it showed: where that is no longer so, the rows conflict."""
    old = world.plan()
    with pytest.raises(Waiting) as caught, world.database.write() as session:
        sync.apply(session, SHELL, plan_id=old.id)
    number = caught.value.document["change_id"]
    anna = next(u for u in world.directory.users if u["email"] == ANNA)
    anna["displayName"] = "Anna Kowalska-Lang"
    _applied_plan(world)
    sent = len(world.om.requests)
    _approve(world, number)
    _work(world)
    lifecycle.track(world.database)
    assert [each for each in world.om.requests[sent:] if each[0] == "PATCH"] == []
    items = world.items(world.start(old))
    assert {item.state for mail, item in items.items() if mail != ANNA} == {"applied"}
    assert items[ANNA].state == "conflict"
    stored = world.stored(str(world.row(old, ANNA).user_name))
    assert stored["displayName"] == "Anna Kowalska-Lang"
    view = _view(world, number)
    assert view.status == "failed"
    assert "1 conflict" in view.outcome


def test_a_revert_is_judged_by_its_own_rule(world: World) -> None:
    run = world.start(_applied_plan(world))
    with world.database.write() as session:
        inverse = sync.revert(session, world.steward, run_id=run.id)
        policy.save(
            session,
            SYSTEM,
            environment=world.env,
            action="user_sync.revert",
            rule=Rule(mode="approve", approvers=2),
        )
    sent = len(world.om.requests)
    with pytest.raises(Waiting) as caught, world.database.write() as session:
        sync.apply(session, SHELL, plan_id=inverse.id)
    number = caught.value.document["change_id"]
    view = _view(world, number)
    assert (view.action, view.needed) == ("user_sync.revert", 2)
    now = changes.would_do(world.database, SHELL, change_id=number)
    with world.database.read() as session:
        rows = sync.list_rows(session, SHELL, plan_id=inverse.id).items
    said = ATTRIBUTES["displayName"].shown
    names = {row.email: (said(row.old_name), said(row.new_name)) for row in rows if row.sets_name}
    assert names, "the run that is reverted had set names"
    names["chloe_martin@example.com"] = "“Chloe Martin”", "“Chloe␣ Martin”"
    names["ines.duarte@example.com"] = "“Inês Duarte”", "“Ine⟨U+0302⟩s Duarte”"
    assert now.same
    assert now.preview is not None
    assert {
        line[0]: line[2:4] for line in now.preview.rows if line[1] == "Display name"
    } == names, "what is shown are the old names"
    assert len(world.om.requests) == sent, "a look writes nothing and asks for nothing"


def _applied_plan(world: World) -> PlanView:
    plan = world.plan()
    with pytest.raises(Waiting) as caught, world.database.write() as session:
        sync.apply(session, SHELL, plan_id=plan.id)
    _approve(world, caught.value.document["change_id"])
    _work(world)
    return plan
