"""Requests by a text: as a person types it, on each database, and however many there are."""

import pytest
from sqlalchemy import update

from backend.changes import service
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.models import Change, ChangeText
from tests.backend.changes.conftest import ONE, World


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


def _asked(world: World, *targets: str) -> list[int]:
    world.rule(ONE)
    found: list[int] = []
    for world.target in targets:
        number = world.ask(text=world.target)
        assert number is not None
        found.append(number)
    return found


def _found(world: World, text: str, **more: int) -> list[int]:
    with world.database.read() as session:
        page = service.list_changes(session, SYSTEM, text=text, **more)
    return [view.id for view in page.items]


@pytest.mark.parametrize(
    "text", ["straße", "STRASSE", "ann  ORDERS", "demo.WRITE orders", "50%_", "  "]
)
def test_case_and_wildcards_are_those_of_a_person(world: World, text: str) -> None:
    first, second = _asked(world, "Orders of 50%_ Straße", "returns of 50 STRAßE")
    both = "stra" in text.lower() or not text.strip()
    assert _found(world, text) == ([second, first] if both else [first])


def test_what_none_has_finds_none(world: World) -> None:
    _asked(world, "orders")
    assert _found(world, "orders returns") == []
    assert _found(world, "\x00nobody") == []


def test_a_page_looks_so_far_and_says_where_to_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = _asked(world, *(f"target {number}" for number in range(6)))
    monkeypatch.setattr(service, "STRETCH", 3)
    pages: list[list[int]] = []
    cursor = None
    with world.database.read() as session:
        while not pages or cursor is not None:
            page = service.list_changes(session, SYSTEM, text="target 1", cursor=cursor)
            pages.append([view.id for view in page.items])
            cursor = page.next_cursor
    assert pages[0] == []
    assert [number for page in pages for number in page] == [numbers[1]]
    assert _found(world, "target 5") == [numbers[5]]


def test_what_waits_on_a_jobs_page_is_of_its_actions_alone(world: World) -> None:
    """Others whose subject has the same word stood before it, and the list is short."""
    (number,) = _asked(world, "the oldest")
    others = _asked(world, *(f"demo. {each}" for each in range(6)))
    with world.database.write() as session:
        session.execute(update(Change).where(Change.id.in_(others)).values(action="accounts.role"))
        found = service.waiting_for(session, SYSTEM, environment=None, domain="demo", limit=2)
    assert [view.id for view in found] == [number]


def test_a_request_that_was_there_already_has_one_text(world: World) -> None:
    (number,) = _asked(world, "orders")
    assert _asked(world, "orders") == [number]
    with world.database.read() as session:
        assert session.get_one(ChangeText, number).text == "orders\nann\ndemo.write"
