"""What may go wrong around an approval; each names the guard that answered.

The rest of the list: the approver loses the role, the environment is deleted or renamed, the policy
is weakened (test_lifecycle.TestWhatMovesMeanwhile); two approvers at once, kill -9 before and after
the begin (test_lifecycle.TestOnce); a plan applied meanwhile, and one
replaced by a newer one (test_user_sync); a token of who asked
(test_requests.TestTokens).
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.accounts.step_up import NotFresh
from backend.changes import actions, gate, lifecycle
from backend.changes.actions import Begun, End
from backend.connections import environments
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.errors import NotFound
from backend.models import AccountSession
from tests.backend.changes.conftest import ACTION, ONE, World


@pytest.fixture
def number(world: World) -> int:
    world.rule(ONE)
    found = world.ask()
    assert found is not None
    return found


def _begin(world: World, number: int) -> Begun:
    call = lifecycle._taken(world.database, number)
    assert call is not None
    with gate.carrying(number):
        return call.run(world.database)


def test_what_expires_while_it_runs_goes_on(world: World, number: int) -> None:
    world.approve(number)
    begun = _begin(world, number)
    world.expire(number)
    lifecycle.track(world.database)
    assert world.view(number).status == "running"
    lifecycle._begun(world.database, number, Begun(begun.run_id, End("succeeded")))
    assert world.view(number).status == "succeeded"


def test_the_old_name_of_a_renamed_environment_is_not_taken_for_it(
    world: World, number: int
) -> None:
    world.approve(number)
    with world.database.write() as session:
        environments.update(session, SYSTEM, name="prod", version=1, new_name="prod-eu")
        environments.add(session, SYSTEM, name="prod")
    view = world.carry_out(number)
    assert (view.status, world.written()) == ("succeeded", [("hello", "ann")])


def test_a_clock_that_jumps_forward_lets_nothing_begin(
    world: World, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.approve(number)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=2))
    view = world.carry_out(number)
    assert (view.status, view.outcome) == ("refused", "It expired before it could begin.")
    assert world.written() == []


def test_a_clock_that_jumped_back_makes_no_old_sign_in_fresh(world: World, number: int) -> None:
    with world.database.write() as session:
        session.execute(
            update(AccountSession)
            .where(AccountSession.id == world.browsers["bob"])
            .values(proven_at=clock.now() + timedelta(hours=1))
        )
    with pytest.raises(NotFresh, match="proof of who you are"):
        world.approve(number)
    assert world.view(number).status == "waiting"


def test_who_comes_second_does_not_say_how_the_first_ended(
    world: World, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.approve(number)
    late = lifecycle._taken(world.database, number)
    begun = _begin(world, number)
    monkeypatch.setattr(lifecycle, "_taken", lambda *_: late)
    assert world.carry_out(number).status == "running"
    lifecycle._begun(world.database, number, begun)
    assert world.view(number).status == "succeeded"
    assert world.written() == [("hello", "ann")]


def test_one_whose_run_is_not_on_record_does_not_keep_the_others_from_ending(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may go with its environment; what then fails to answer must not hold the rest up."""
    world.rule(ONE)
    texts = ("gone", "broken", "fine")
    numbers = [number for text in texts if (number := world.ask(text=text)) is not None]
    for number, text in zip(numbers, texts, strict=True):
        world.approve(number)
        begun = _begin(world, number)
        assert begun.end is not None
        lifecycle._begun(world.database, number, Begun(text))

    def ended(_session: object, run_id: str) -> End:
        if run_id == "gone":
            raise NotFound("There is no run gone.")
        if run_id == "broken":
            raise ValueError(run_id)
        return End("succeeded")

    demo = replace(actions.get(ACTION), ended=ended)
    monkeypatch.setattr(actions, "_provided", lambda: {ACTION: demo})
    lifecycle.track(world.database)
    gone, broken, fine = (world.view(number) for number in numbers)
    assert (gone.status, gone.outcome) == ("unknown", "Its run gone is not on record any more.")
    assert (broken.status, fine.status) == ("running", "succeeded")
