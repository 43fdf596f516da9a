"""When a message is due: at once, after quiet hours, in a digest, and after its beginning."""

from datetime import UTC, datetime
from typing import Any

from backend.core import events
from backend.notifications import dispatch
from tests.backend.changes.conftest import World
from tests.backend.notifications.conftest import Receiver, add, pump
from tests.backend.notifications.test_delivery import make_due, raise_


class TestWhen:
    NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

    def channel(self, **values: Any) -> Any:
        return dispatch.Channel(**{"quiet": "", "digest": "", **values})

    def test_at_once_without_a_wish(self) -> None:
        assert dispatch.due_at(self.channel(), "info", self.NOON) == self.NOON

    def test_quiet_hours_hold_back_all_but_errors(self) -> None:
        quiet = self.channel(quiet="20:00-07:00")
        night = self.NOON.replace(hour=23)
        assert dispatch.due_at(quiet, "error", night) == night
        assert dispatch.due_at(quiet, "warning", night) == datetime(2026, 11, 26, 7, tzinfo=UTC)

    def test_a_digest_gathers_what_is_not_urgent(self) -> None:
        daily = self.channel(digest="daily")
        assert dispatch.due_at(daily, "info", self.NOON) == datetime(2026, 11, 26, tzinfo=UTC)
        assert dispatch.due_at(daily, "warning", self.NOON) == self.NOON

    def test_a_digest_is_one_message(self, world: World, receiver: Receiver) -> None:
        add(world.database, receiver.url, digest="hourly")
        for number in range(3):
            raise_(world.database, "mounts.orphans", str(number))
        raise_(world.database, "connections.failing")
        pump(world.database)
        assert [kind for kind, _, _ in receiver.told] == ["connections.failing"]
        make_due(world.database)
        pump(world.database)
        assert [len(document["events"]) for document in receiver.documents] == [1, 3]

    def test_a_digest_does_not_tell_an_end_before_its_beginning(
        self, world: World, receiver: Receiver
    ) -> None:
        add(world.database, receiver.url, digest="hourly")
        raise_(world.database, "mounts.orphans", "1")
        raise_(world.database)
        receiver.answer = 503
        assert pump(world.database)  # tried, so that its end is told, too
        receiver.answer = 204
        with world.database.write() as session:
            assert events.over(session, "connections.failing", "1")
        dispatch.fan_out(world.database)
        make_due(world.database)  # after an hour: all of it at once
        receiver.requests.clear()
        pump(world.database)
        assert [(kind, phase) for kind, phase, _ in receiver.told] == [
            ("mounts.orphans", "raised"),
            ("connections.failing", "raised"),
            ("connections.failing", "over"),
        ]
