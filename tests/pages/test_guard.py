"""How often a page asks who is signed in: once for what it reads, again before it writes."""

import pytest
from sqlalchemy import event, update

from auth import current
from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.jobs import service as jobs
from backend.models import Account
from pages.shared import beside
from pages.shell import calls, guard
from tests.fixtures.pages import OpenPage
from tests.fixtures.real_session import SignIn


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time the database was asked who is signed in."""
    found: list[str] = []
    real = current.signed_in

    def signed_in() -> object:
        found.append("asked")
        return real()

    monkeypatch.setattr(current, "signed_in", signed_in)
    return found


def _demote(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Account).values(role="viewer"))


def test_a_run_asks_once_for_all_that_it_reads(real_sign_in: SignIn, asked: list[str]) -> None:
    real_sign_in("admin")
    with guard.one_run() as session:
        assert session is not None
        calls.fetch(jobs.list_jobs)
        calls.fetch(environments.list_all)
        assert guard.signed_in() == session
    assert asked == ["asked"]


def test_what_several_parts_show_is_read_once_in_a_run_and_anew_after_it_wrote(
    real_sign_in: SignIn, database: Database
) -> None:
    real_sign_in("admin")
    read: list[str] = []

    def names(session: object, actor: object) -> list[str]:
        read.append("read")
        return [view.name for view in environments.list_all(session, actor)]

    with guard.one_run():
        assert [calls.once(names), calls.once(names)] == [[], []]
        assert read == ["read"]
        calls.fetch_write(environments.add, name="prod")
        assert calls.once(names) == ["prod"]
    with guard.one_run():
        assert calls.once(names) == ["prod"]
    assert read == ["read"] * 3


def test_the_next_run_sees_the_role_of_then(real_sign_in: SignIn, database: Database) -> None:
    real_sign_in("admin")
    with guard.one_run() as first:
        _demote(database)
    with guard.one_run() as second:
        roles = [each.actor.role.value for each in (first, second) if each]
    assert roles == ["admin", "viewer"]


def test_outside_of_a_run_each_read_asks(real_sign_in: SignIn, asked: list[str]) -> None:
    """Fragments that refresh themselves and the callbacks of widgets run without the script."""
    real_sign_in("admin")
    with guard.one_run():
        pass
    asked.clear()
    for _ in range(2):
        calls.fetch(jobs.list_jobs)
    assert asked == ["asked", "asked"]


@pytest.mark.parametrize("way", ["fetch_write", "on_database", "begun"])
def test_what_writes_has_the_role_of_now_and_so_has_what_is_read_after_it(
    way: str, real_sign_in: SignIn, database: Database, asked: list[str]
) -> None:
    real_sign_in("admin")
    with guard.one_run():
        _demote(database)
        with pytest.raises(NotPermitted, match="viewer"):
            _add(way)
        assert len(asked) == 2
        assert getattr(guard.signed_in(), "actor", None).role.value == "viewer"
    with database.read() as session:
        assert environments.list_all(session, SYSTEM) == ()


def test_what_a_button_asks_is_asked_with_the_role_of_the_click(
    real_sign_in: SignIn, database: Database, asked: list[str]
) -> None:
    real_sign_in("admin")
    with guard.one_run():
        drawn = calls.bound(lambda _database, actor: actor.role.value)
        assert asked == ["asked"], "drawing a button asks nobody"
    _demote(database)
    found = beside.Asked("the role", drawn)
    assert found.answer.result(60) == "viewer"


def _add(way: str) -> None:
    if way == "fetch_write":
        calls.fetch_write(environments.add, name="prod")
        return

    def add(database: Database, actor: object) -> None:
        with database.write() as session:
            environments.add(session, actor, name="prod")

    if way == "on_database":
        calls.on_database(add)
    else:
        calls.bound(add).begun()()


def test_the_overview_asks_for_the_environments_once_itself_and_once_for_the_frame(
    open_page: OpenPage, database: Database
) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="prod")
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        assert not open_page("overview/page.py").exception
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert sum("ORDER BY environments.default_marker" in statement for statement in asked) == 2
    # one unit of work for what the page shows; the others are the frame's, in which nothing writes
    assert (asked.count("BEGIN"), asked.count("BEGIN IMMEDIATE")) == (4, 0)
