"""The Notifications page: the inbox, a channel from its form to its test, and the bell."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from backend.accounts.schemas import SignedIn
from backend.core.errors import NotFound
from backend.models import NotificationChannel
from backend.notifications import channels
from tests.backend.changes.conftest import ONE, World, world  # noqa: F401 - a fixture
from tests.backend.notifications.conftest import Receiver, receiver  # noqa: F401 - a fixture
from tests.fixtures.pages import OpenPage

PAGE = "notifications/page.py"


@pytest.fixture
def as_(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:  # noqa: F811 - as above
    """The browser is that of one of the world's people."""

    def become(name: str) -> None:
        signed_in = SignedIn(
            actor=world.people[name], session_id=world.browsers[name], must_change_password=False
        )
        monkeypatch.setattr("auth.current.signed_in", lambda: signed_in)

    return become


def test_what_is_unread_is_marked_until_it_is_read(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
) -> None:
    world.rule(ONE)
    number = world.ask("ann")
    app = open_page(PAGE, role="viewer")
    as_("bob")
    app.run()
    (table,) = app.dataframe
    assert list(table.value["About"]) == [f"Change {number}: write a line in prod"]
    assert list(table.value["New"]) == ["●"]
    app.button(key="notifications.seen").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value["New"]) == [""]


def test_a_channel_is_added_tested_and_removed(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    receiver: Receiver,  # noqa: F811 - as above
) -> None:
    app = open_page(PAGE, role="admin", view="channels")
    as_("cat")
    app.run()
    app.text_input(key="notifications.name").set_value("ops")
    app.text_input(key="notifications.address").set_value(receiver.url)
    (add,) = [each for each in app.button if each.label == "Add"]
    add.click().run()
    assert not app.exception
    assert "whsec_" in app.code[0].value
    app.button(key="notifications.test.ask").click().run()
    assert len(receiver.requests) == 1
    assert receiver.url not in str(app.dataframe[0].value)
    app.button(key="notifications.remove").click().run()
    app.button(key="notifications.remove.sure.confirm").click().run()
    assert [each.value for each in app.success] == ["Channel ops is removed."]
    with world.database.read() as session:
        assert not session.scalars(select(NotificationChannel)).all()


def test_a_channel_that_somebody_else_removed_is_not_said_to_be_removed(
    open_page: OpenPage,
    as_: Callable[[str], None],
    world: World,  # noqa: F811 - as above
    receiver: Receiver,  # noqa: F811 - as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = open_page(PAGE, role="admin", view="channels")
    as_("cat")
    app.run()
    app.text_input(key="notifications.name").set_value("ops")
    app.text_input(key="notifications.address").set_value(receiver.url)
    (add,) = [each for each in app.button if each.label == "Add"]
    add.click().run()
    app.button(key="notifications.remove").click().run()

    def gone(*_session: object, **_asked: object) -> None:
        raise NotFound("There is no channel ops.")

    monkeypatch.setattr(channels, "remove", gone)
    app.button(key="notifications.remove.sure.confirm").click().run()
    assert "is removed" not in " ".join(str(each.value) for each in app.success)
    said = [str(each.value) for each in (*app.error, *app.warning)]
    assert any("There is no channel ops." in each for each in said), said
