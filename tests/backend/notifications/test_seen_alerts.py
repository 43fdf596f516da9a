"""What a person has put aside stays aside for as long as the alert says the same, and for them."""

from dataclasses import replace

import pytest

from backend.core import alerts, clock
from backend.core.access import SYSTEM, Actor
from backend.core.alerts import Alert
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.notifications import dispatch, seen_alerts
from tests.backend.changes.conftest import World

ALERT = Alert("warning", "3 mounts are older than 24 h.", "mounts")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[Alert]:
    """What the domain says now."""
    found = [ALERT]
    monkeypatch.setattr(alerts, "_sources", lambda: {"mounts": lambda *_: list(found)})
    return found


def seen(database: Database, actor: Actor) -> frozenset[str]:
    with database.read() as session:
        return seen_alerts.seen(session, actor)


def test_is_each_persons_own_and_can_be_taken_back(world: World, now: list[Alert]) -> None:
    ann, bob = world.people["ann"], world.people["bob"]
    for _ in range(2):  # pressed twice is seen once
        with world.database.write() as session:
            seen_alerts.mark(session, ann, alert=ALERT.key)
    assert seen(world.database, ann) == {ALERT.key}
    assert seen(world.database, bob) == frozenset()
    with world.database.write() as session:
        seen_alerts.mark(session, ann, alert=ALERT.key, is_seen=False)
    assert seen(world.database, ann) == frozenset()


def test_lasts_as_long_as_the_alert_says_the_same(world: World, now: list[Alert]) -> None:
    ann = world.people["ann"]
    with world.database.write() as session:
        seen_alerts.mark(session, ann, alert=ALERT.key)
    dispatch.watch(world.database)
    assert seen(world.database, ann) == {ALERT.key}
    now[:] = []
    dispatch.watch(world.database)
    assert seen(world.database, ann) == frozenset()  # when it comes again it is news


def test_more_of_the_same_is_news() -> None:
    assert replace(ALERT, text="4 mounts are older than 24 h.").key != ALERT.key
    assert replace(ALERT, since=clock.now()).key == ALERT.key  # looked at again, nothing new


def test_what_could_not_be_read_has_not_ended(
    world: World, now: list[Alert], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Alert]:
        raise RuntimeError("no")

    ann = world.people["ann"]
    with world.database.write() as session:
        seen_alerts.mark(session, ann, alert=ALERT.key)
    monkeypatch.setattr(alerts, "_sources", lambda: {"mounts": broken})
    dispatch.watch(world.database)
    assert seen(world.database, ann) == {ALERT.key}


def test_a_mark_made_while_the_alerts_were_read_stays(world: World, now: list[Alert]) -> None:
    began = clock.now()
    ann = world.people["ann"]
    with world.database.write() as session:
        seen_alerts.mark(session, ann, alert=ALERT.key)
        seen_alerts.forget_ended(session, (), began)
    assert seen(world.database, ann) == {ALERT.key}


def test_only_a_person_has_seen_something(world: World) -> None:
    with (
        pytest.raises(InvalidInput, match="Name the account that this is about with --account"),
        world.database.write() as session,
    ):
        seen_alerts.mark(session, SYSTEM, alert=ALERT.key)
    assert seen(world.database, SYSTEM) == frozenset()
