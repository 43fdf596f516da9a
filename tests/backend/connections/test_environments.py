"""Environments: names, the one default, two admins, deleting."""

import threading

import pytest
from sqlalchemy import func, select

from backend.connections import environments, repository, resolve, secrets, service
from backend.connections.errors import (
    ChangedMeanwhile,
    EnvironmentNotFound,
    NameTaken,
    NoDefaultEnvironment,
)
from backend.connections.schemas import EnvironmentView
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Base, Database
from backend.core.errors import InvalidInput, NotPermitted
from backend.models import Connection, ConnectionSecret, ConnectionTest, DataHubClientInfo


def add(database: Database, name: str, **options: bool) -> EnvironmentView:
    with database.write() as session:
        return environments.add(session, SYSTEM, name=name, **options)


class TestAdd:
    def test_the_first_one_becomes_the_default_and_the_second_does_not(
        self, database: Database
    ) -> None:
        assert add(database, "One").is_default
        assert not add(database, "Two").is_default

    def test_asking_for_default_takes_it_from_the_other(self, database: Database) -> None:
        add(database, "One")
        assert add(database, "Two", default=True).is_default
        with database.read() as session:
            listed = environments.list_all(session, SYSTEM)
        assert [(e.name, e.is_default) for e in listed] == [("Two", True), ("One", False)]

    def test_the_first_real_one_takes_the_default_from_the_sandbox(
        self, database: Database
    ) -> None:
        add(database, "Sandbox", is_sandbox=True)
        assert add(database, "Prod").is_default
        assert not add(database, "Stage").is_default

    def test_names_are_unique_whatever_their_case(self, database: Database) -> None:
        add(database, "Prod")
        with pytest.raises(NameTaken, match="PROD"):
            add(database, "PROD")

    def test_there_are_as_many_as_a_list_shows(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One more would be in no list, and no job would look after it."""
        monkeypatch.setattr(repository, "MAX_ENVIRONMENTS", 2)
        add(database, "One")
        add(database, "Two")
        with pytest.raises(InvalidInput, match="There are 2 environments"):
            add(database, "Three")
        with database.read() as session:
            assert [each.name for each in environments.list_all(session, SYSTEM)] == ["One", "Two"]

    @pytest.mark.parametrize(
        "name", ["", "   ", "x" * 81, "-x", "a/b", "a\nb<", "<img onerror=1>", "=cmd"]
    )
    def test_refuses_names_that_would_hurt_later(self, database: Database, name: str) -> None:
        with pytest.raises(InvalidInput, match="name has 1 to 80"):
            add(database, name)

    def test_two_at_once_make_one(self, database: Database) -> None:
        ended: list[str] = []

        def work() -> None:
            try:
                add(database, "Prod")
                ended.append("made")
            except NameTaken:
                ended.append("taken")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ended) == ["made", "taken", "taken", "taken"]


class TestUpdate:
    def test_the_second_of_two_admins_is_told_and_changes_nothing(
        self, database: Database, actors: object
    ) -> None:
        seen = add(database, "Prod")
        with database.write() as session:
            environments.update(
                session, SYSTEM, name="Prod", version=seen.version, new_name="Production"
            )
        with (
            pytest.raises(ChangedMeanwhile, match="changed by system"),
            database.write() as session,
        ):
            environments.update(
                session,
                SYSTEM,
                name="Production",
                version=seen.version,
                new_name="Mine",
            )
        with database.read() as session:
            assert environments.get(session, SYSTEM, name="production").version == 2

    def test_a_rename_keeps_connections_and_their_secrets(self, database: Database) -> None:
        seen = add(database, "Prod")
        with database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="datahub",
                settings={"server": "http://gms:8080"},
                secrets_in={"token": "t0ken"},
            )
            environments.update(session, SYSTEM, name="Prod", version=seen.version, new_name="Live")
        with database.read() as session:
            found = resolve.connection(session, environment="live", kind="datahub")
        assert found.secrets == {"token": "t0ken"}

    def test_renaming_to_a_taken_name_is_refused(self, database: Database) -> None:
        add(database, "Prod")
        seen = add(database, "Stage")
        with pytest.raises(NameTaken), database.write() as session:
            environments.update(
                session, SYSTEM, name="Stage", version=seen.version, new_name="prod"
            )


class TestDefault:
    def test_there_is_never_more_than_one(self, database: Database) -> None:
        for name in ("One", "Two", "Three"):
            add(database, name)
        with database.write() as session:
            environments.make_default(session, SYSTEM, name="Three")
        with database.read() as session:
            listed = environments.list_all(session, SYSTEM)
            assert [e.name for e in listed if e.is_default] == ["Three"]
            assert resolve.environment(session).name == "Three"

    def test_without_one_the_message_says_what_to_do(self, database: Database) -> None:
        with (
            pytest.raises(NoDefaultEnvironment, match="No default environment found"),
            database.read() as session,
        ):
            resolve.environment(session)


class TestRemove:
    def test_needs_the_name_typed_exactly(self, database: Database) -> None:
        add(database, "Prod")
        for typed in ("", "prod", "Prod!"):
            with (
                pytest.raises(InvalidInput, match="Nothing was deleted"),
                database.write() as session,
            ):
                environments.remove(session, SYSTEM, name="Prod", confirm_name=typed)

    def test_names_whatever_goes_with_it(self, database: Database) -> None:
        made = add(database, "Prod")
        with database.read() as session:
            assert environments.belongings(session, SYSTEM, name="Prod") == ""
            owned = set(repository.count_belongings(session, made.id))
        unnamed = {"connection_secrets", "connection_tests", "datahub_client_info"}
        assert owned - set(environments.BELONGINGS) == unnamed | {
            "ingestion_favourites",
            "ingestion_mappings",
        }, "a new table whose rows go with an environment is named before it is deleted"

    def test_takes_everything_that_belongs_to_it(self, database: Database) -> None:
        made = add(database, "Prod")
        with database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="datahub",
                settings={"server": "http://gms:8080"},
                secrets_in={"token": "t0ken"},
            )
            secrets.ensure_tokenization_key(session, SYSTEM, environment_id=made.id)
        with database.read() as session:
            assert environments.belongings(session, SYSTEM, name="prod") == "1 connection"
        with database.write() as session:
            environments.remove(session, SYSTEM, name="Prod", confirm_name="Prod")
        with database.read() as session:
            for model in (Connection, ConnectionSecret, ConnectionTest, DataHubClientInfo):
                assert session.scalar(select(func.count()).select_from(model)) == 0

    def test_the_default_does_not_move_silently(self, database: Database) -> None:
        add(database, "Prod")
        add(database, "Stage")
        with database.write() as session:
            environments.remove(session, SYSTEM, name="Prod", confirm_name="Prod")
        with database.read() as session, pytest.raises(NoDefaultEnvironment):
            resolve.environment(session)

    def test_an_unknown_one_is_named_with_those_that_exist(self, database: Database) -> None:
        add(database, "Prod")
        with pytest.raises(EnvironmentNotFound, match=r"'Nope'.*Prod"), database.read() as session:
            resolve.environment(session, "Nope")


class TestAccess:
    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_only_admins_change_environments(
        self, database: Database, actors: object, role: str
    ) -> None:
        add(database, "Prod")
        actor = getattr(actors, role)
        attempts = (
            lambda s: environments.add(s, actor, name="X"),
            lambda s: environments.update(s, actor, name="Prod", version=1, new_name="X"),
            lambda s: environments.make_default(s, actor, name="Prod"),
            lambda s: environments.remove(s, actor, name="Prod", confirm_name="Prod"),
        )
        for attempt in attempts:
            with pytest.raises(NotPermitted), database.write() as session:
                attempt(session)
        with database.read() as session:
            assert [e.name for e in environments.list_all(session, actor)] == ["Prod"]


class TestAudit:
    def test_every_change_leaves_a_row(self, database: Database) -> None:
        add(database, "Prod")
        with database.write() as session:
            environments.update(session, SYSTEM, name="Prod", version=1, is_production=True)
            environments.remove(session, SYSTEM, name="Prod", confirm_name="Prod")
        with database.read() as session:
            actions = list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
        assert actions == [
            "connections:environment:add",
            "connections:environment:update",
            "connections:environment:remove",
        ]


def test_every_table_of_environments_goes_with_its_environment() -> None:
    """A table that refers to environments without ON DELETE CASCADE would block deleting one."""
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            if key.column.table.name == "environments":
                assert key.ondelete in ("CASCADE", "SET NULL"), f"{table.name}.{key.parent.name}"
