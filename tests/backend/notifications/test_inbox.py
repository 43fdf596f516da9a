"""The bell: what a person may be told, what is unread, and that seen is each one's own."""

import pytest

from backend.core import events
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.events import About
from backend.notifications import inbox
from tests.backend.changes.conftest import ONE, World


def unread(database: Database, actor: Actor) -> int:
    with database.read() as session:
        return inbox.unread(session, actor)


def test_seen_is_each_one_s_own(world: World) -> None:
    world.rule(ONE)
    world.ask("ann")
    bob, cat, ann = (world.people[name] for name in ("bob", "cat", "ann"))
    assert [unread(world.database, each) for each in (ann, bob, cat)] == [0, 1, 1]
    with world.database.read() as session:
        (newest,) = inbox.inbox(session, bob).items
    assert newest.unread
    with world.database.write() as session:
        inbox.mark_seen(session, bob, event_id=newest.id)
    assert [unread(world.database, each) for each in (bob, cat)] == [0, 1]


def test_seen_never_goes_back_and_never_runs_ahead(world: World) -> None:
    world.rule(ONE)
    world.ask("ann")
    bob = world.people["bob"]
    with world.database.write() as session:
        inbox.mark_seen(session, bob, event_id=2**50)
        inbox.mark_seen(session, bob, event_id=1)
    assert unread(world.database, bob) == 0
    world.ask("ann", text="another")
    assert unread(world.database, bob) == 1


def test_the_bell_is_silent_about_what_is_over(world: World) -> None:
    cat = world.people["cat"]
    with world.database.write() as session:
        events.raised(session, "connections.failing", "1", About("x", "connections"))
    assert unread(world.database, cat) == 1
    with world.database.write() as session:
        events.over(session, "connections.failing", "1")
    assert unread(world.database, cat) == 0
    with world.database.read() as session:
        items = inbox.inbox(session, cat).items
    assert [(each.phase, each.unread) for each in items] == [("over", False), ("raised", False)]


def test_a_role_is_told_of_its_permissions_only(world: World) -> None:
    with world.database.write() as session:
        events.raised(session, "accounts.token_ends", "1", About("API token 1", "accounts"))
    assert unread(world.database, world.people["cat"]) == 1
    assert unread(world.database, world.people["dan"]) == 0


def test_a_limited_token_is_told_of_its_own_actions_only(world: World) -> None:
    world.rule(ONE)
    world.ask("ann")
    seen = Permission.NOTIFICATIONS_READ
    found = {}
    for action in (Permission.TOKENIZATION_RUN, Permission.MOUNTS_WRITE):
        only = frozenset({seen, action})
        token = Actor(9, "nightly", Role.ADMIN, "api_token", only=only)
        with world.database.read() as session:
            page = inbox.inbox(session, token)
        found[action] = ([each.kind for each in page.items], page.unread)
    assert found == {
        Permission.TOKENIZATION_RUN: (["changes.waiting"], 1),
        Permission.MOUNTS_WRITE: ([], 0),
    }


def test_the_list_is_paged(world: World) -> None:
    with world.database.write() as session:
        for number in range(5):
            events.raised(session, "connections.failing", str(number), About("x", "connections"))
    found: list[int] = []
    cursor: int | None = None
    while True:
        with world.database.read() as session:
            page = inbox.inbox(session, world.people["cat"], limit=2, cursor=cursor)
        found += [each.id for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == sorted(found, reverse=True)
    assert len(found) == 5


def test_only_an_account_has_seen_something(world: World) -> None:
    with world.database.write() as session, pytest.raises(InvalidInput, match="sign in"):
        inbox.mark_seen(session, SYSTEM, event_id=1)
