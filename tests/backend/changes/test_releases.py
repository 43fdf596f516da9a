"""Several requests approved together: in order, and stopped at the first that fails."""

import pytest

from backend.changes import lifecycle, releases, service
from backend.changes.schemas import ChangeView
from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.errors import Conflict, InvalidInput, NotPermitted, UpstreamUnavailable
from tests.backend.changes.conftest import ONE, TWO, World


@pytest.fixture
def three(world: World) -> list[int]:
    """The second was asked for last."""
    world.rule(ONE)
    first, third, second = (world.ask(text=text) or 0 for text in ("one", "three", "second"))
    return [first, second, third]


def _approve(world: World, numbers: list[int], name: str = "bob") -> tuple[ChangeView, ...]:
    with world.database.write() as session:
        return releases.approve(session, world.in_browser(name), change_ids=numbers)


def _work(world: World, numbers: list[int]) -> list[str]:
    """Every job that is due, as the portal's clock and worker do it; then how each stands."""
    for _ in numbers:
        for number in numbers:
            view = world.view(number)
            if view.status == "approved" and view.job_id is not None:
                world.run_job(number)
        lifecycle.track(world.database)
    return [world.view(number).status for number in numbers]


def test_they_are_carried_out_in_the_order_given(world: World, three: list[int]) -> None:
    assert [view.status for view in _approve(world, three)] == ["approved"] * 3
    assert [world.view(number).job_id is None for number in three] == [False, True, True]
    assert _work(world, three) == ["succeeded"] * 3
    assert [text for text, _ in world.written()] == ["one", "second", "three"]


def test_the_first_that_fails_stops_the_rest(world: World, three: list[int]) -> None:
    _approve(world, three)
    world.run_job(three[0])
    lifecycle.track(world.database)
    world.fail = UpstreamUnavailable("Somewhere", "nobody is there", "Try later.")
    world.run_job(three[1])
    world.fail = None
    assert _work(world, three) == ["succeeded", "refused", "refused"]
    assert world.written() == [("one", "ann")]
    stopped = f"The release stopped: change {three[1]}, which comes before it, is refused."
    assert world.view(three[2]).outcome == stopped


def test_none_begins_before_its_turn(world: World, three: list[int]) -> None:
    _approve(world, three)
    assert world.carry_out(three[1]).status == "approved"
    assert world.written() == []


def test_what_waits_for_another_approval_holds_the_rest_back(world: World) -> None:
    world.rule(TWO)
    first = world.ask(text="first") or 0
    world.rule(TWO, "tokenization.run")
    second = world.ask(text="second") or 0
    _approve(world, [first, second], "bob")
    assert _work(world, [first, second]) == ["waiting", "waiting"]
    _approve(world, [first, second], "cat")
    assert _work(world, [first, second]) == ["succeeded", "succeeded"]


def test_a_rejection_stops_what_waits_behind_it(world: World) -> None:
    world.rule(TWO)
    numbers = [world.ask(text=text) or 0 for text in ("first", "second")]
    _approve(world, numbers)
    with world.database.write() as session:
        service.reject(session, world.people["cat"], change_id=numbers[0], reason="not now")
    assert _work(world, numbers) == ["rejected", "refused"]


def test_all_or_none(world: World, three: list[int]) -> None:
    mine = world.ask("bob", "his own") or 0
    with pytest.raises(NotPermitted, match="this change was asked for by you"):
        _approve(world, [*three, mine])
    assert {world.view(number).status for number in three} == {"waiting"}
    assert {world.view(number).after for number in three} == {None}


def test_of_one_environment_only(world: World, three: list[int]) -> None:
    with world.database.write() as session:
        environments.add(session, SYSTEM, name="dev")
    world.env = "dev"
    world.rule(ONE)
    other = world.ask(text="there") or 0
    with pytest.raises(InvalidInput, match="of several: prod, dev"):
        _approve(world, [three[0], other])


@pytest.mark.parametrize("pick", [[0], [0, 0]])
def test_two_at_least_and_each_once(world: World, three: list[int], pick: list[int]) -> None:
    with pytest.raises(InvalidInput, match="each named once"):
        _approve(world, [three[index] for index in pick])


def test_another_order_than_the_first_approver_saw(world: World) -> None:
    world.rule(TWO)
    first, second, third = (world.ask(text=text) or 0 for text in ("a", "b", "c"))
    _approve(world, [first, second])
    with pytest.raises(Conflict, match=f"change {second} comes after change {first}".capitalize()):
        _approve(world, [second, first], "cat")
    with pytest.raises(Conflict, match=f"Change {second} comes after change {first} in a release"):
        _approve(world, [third, second], "cat")
