"""The rules that the database itself keeps: one default, unique names, cascade; on all three."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.event import listen

from backend.connections import environments, resolve, secrets, service, testing
from backend.connections.errors import NameTaken
from backend.core import secret_store
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import Conflict, NotFound
from backend.migrations import runner
from backend.models import AuditEvent, Connection, ConnectionSecret, ConnectionTest, Environment
from tests.backend.connections.conftest import VALID
from tests.fixtures.database import wait_until_blocked


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def state(request: pytest.FixtureRequest, database: Database) -> Iterator[Database]:
    """A migrated state database of each kind."""
    if request.param == "sqlite":
        yield database
        return
    opened = Database(request.getfixturevalue(f"{request.param}_url"))
    runner.upgrade(opened)
    secret_store.ensure(opened, secret_store.get_vault())
    yield opened
    opened.dispose()


def at_once(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_life_of_an_environment(state: Database) -> None:
    with state.write() as session:
        made = environments.add(session, SYSTEM, name="Prod")
        environments.add(session, SYSTEM, name="Stage", default=True)
        service.save(
            session,
            SYSTEM,
            environment="Prod",
            kind="tokenization",
            settings={"scheme": "base64"},
        )
        secrets.ensure_tokenization_key(session, SYSTEM, environment_id=made.id)
    assert testing.run(state, SYSTEM, environment="prod", kind="tokenization").ok
    with state.read() as session:
        assert resolve.environment(session).name == "Stage"
        past = testing.history(session, SYSTEM, environment="Prod", kind="tokenization")
        assert past[0].tested_at
        assert past[0].tested_at.tzinfo
    with state.write() as session:
        environments.remove(session, SYSTEM, name="Prod", confirm_name="Prod")
    with state.read() as session:
        for model in (Connection, ConnectionSecret, ConnectionTest):
            assert session.scalar(select(func.count()).select_from(model)) == 0


def test_first_environments_added_at_once_leave_one_default(state: Database) -> None:
    ended: list[str] = []

    def work(number: int) -> None:
        try:
            with state.write() as session:
                environments.add(session, SYSTEM, name=f"E{number}")
            ended.append("made")
        except (NameTaken, Conflict) as exc:
            ended.append(exc.message)

    at_once(4, work)
    assert "made" in ended
    assert not [text for text in ended if "exists already" in text]  # their names all differ
    with state.read() as session:
        defaults = session.scalars(select(Environment).where(Environment.default_marker == 1)).all()
    assert len(defaults) == 1


def test_environments_made_the_default_at_once_end_one_after_the_other(state: Database) -> None:
    with state.write() as session:
        for number in range(4):
            environments.add(session, SYSTEM, name=f"E{number}")
    with state.write() as session:  # the others start while this one is not committed
        environments.make_default(session, SYSTEM, name="E3")
        threads = [threading.Thread(target=_make_default, args=(state, f"E{n}")) for n in range(3)]
        for thread in threads:
            thread.start()
        wait_until_blocked(state, threads[0])
    for thread in threads:
        thread.join(60)
    with state.read() as session:
        query = select(AuditEvent.subject).where(
            AuditEvent.action == "connections:environment:default"
        )
        assert sorted(session.scalars(query)) == ["E0", "E1", "E2", "E3"]
        assert environments.list_all(session, SYSTEM)[0].name != "E3"


def _make_default(state: Database, name: str) -> None:
    with state.write() as session:
        environments.make_default(session, SYSTEM, name=name)


def test_a_connection_of_an_environment_that_is_just_being_deleted_is_refused_in_words(
    state: Database,
) -> None:
    ended: list[str] = []

    def save() -> None:
        try:
            with state.write() as session:
                service.save(
                    session,
                    SYSTEM,
                    environment="Prod",
                    kind="postgres",
                    settings=VALID["postgres"],
                )
        except NotFound as exc:
            ended.append(exc.message)

    with state.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    with state.write() as session:
        environments.remove(session, SYSTEM, name="Prod", confirm_name="Prod")
        thread = threading.Thread(target=save)
        thread.start()
        wait_until_blocked(state, thread)
    thread.join(60)
    assert len(ended) == 1


def test_two_first_users_get_the_same_tokenization_key(state: Database) -> None:
    with state.write() as session:
        made = environments.add(session, SYSTEM, name="Prod")
    keys: list[bytes] = []

    def work(_number: int) -> None:
        with state.write() as session:
            keys.append(secrets.ensure_tokenization_key(session, SYSTEM, environment_id=made.id))

    at_once(4, work)
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_two_first_saves_end_with_one_winner(state: Database) -> None:
    with state.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    ended: list[str] = []

    def work(number: int) -> None:
        try:
            with state.write() as session:
                service.save(
                    session,
                    SYSTEM,
                    environment="Prod",
                    kind="directory",
                    settings={"endpoint": f"http://d{number}/graphql"},
                    version=0,
                )
            ended.append("saved")
        except Conflict:
            ended.append("told")

    at_once(2, work)
    assert sorted(ended) == ["saved", "told"]


def test_a_password_is_never_paired_with_another_saves_address(state: Database) -> None:
    """Else the new server's password would be sent to the old one."""

    def save(name: str) -> None:
        with state.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="postgres",
                settings={**VALID["postgres"], "host": name},
                secrets_in={"password": f"of {name}"},
            )

    with state.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    save("old.example")
    reads: list[str] = []

    def save_before_the_secrets_are_read(*event: Any) -> None:
        if "FROM" in event[2] and "connection_secrets" in event[2] and not reads:
            reads.append(event[2])
            save("new.example")

    listen(state.engine, "before_cursor_execute", save_before_the_secrets_are_read)
    with state.read() as session:
        found = resolve.connection(session, kind="postgres")
    assert reads
    assert found.secrets["password"] == f"of {found.settings['host']}"
