"""Saving connections: partial saves, versions, write-only secrets, rotation."""

import pytest
from sqlalchemy import select, text, update

from backend.connections import environments, kinds, resolve, secrets, service
from backend.connections.errors import ChangedMeanwhile, ConnectionNotConfigured, UnknownKind
from backend.connections.schemas import EnvironmentView
from backend.core import secret_rotation, secret_store
from backend.core.access import SYSTEM
from backend.core.crypto import SecretUnreadable, add_key_to_file
from backend.core.database import Database
from backend.core.errors import Conflict, InvalidInput, NotPermitted
from backend.core.settings import get_settings
from backend.models import Connection, ConnectionSecret
from tests.backend.connections.conftest import Save


class TestSave:
    def test_named_settings_change_and_others_stay(self, save: Save) -> None:
        save("postgres")
        found = save("postgres", {"port": "5433", "sslmode": "require"})
        assert (found.settings["host"], found.settings["port"]) == ("127.0.0.1", "5433")
        assert found.version == 2

    def test_an_empty_value_clears_back_to_the_default(self, save: Save) -> None:
        save("datahub", {"server": "http://gms", "timeout": "3"})
        assert save("datahub", {"timeout": ""}).settings["timeout"] == "10"

    def test_a_blank_secret_keeps_what_is_stored(self, save: Save) -> None:
        save("datahub", None, {"token": "first"})
        assert save("datahub", {}, {"token": "  "}).secrets == {"token": "first"}
        assert save("datahub", {}, {"token": "second"}).secrets == {"token": "second"}

    def test_a_secret_can_be_forgotten(self, save: Save, database: Database) -> None:
        save("datahub", None, {"token": "first"})
        with database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="datahub",
                settings={},
                clear_secrets=["token"],
            )
        with database.read() as session:
            assert resolve.connection(session, kind="datahub").secrets == {}

    def test_a_secret_among_the_settings_is_refused(self, save: Save) -> None:
        with pytest.raises(InvalidInput, match="is a secret"):
            save("datahub", {"server": "http://gms", "token": "x"})

    def test_the_second_of_two_admins_is_told_and_nothing_is_saved(
        self, save: Save, database: Database
    ) -> None:
        seen = save("datahub").version
        save("datahub", {"server": "http://theirs"})
        with (
            pytest.raises(ChangedMeanwhile, match="changed by system"),
            database.write() as session,
        ):
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="datahub",
                settings={"server": "http://mine"},
                secrets_in={"token": "mine"},
                version=seen,
            )
        with database.read() as session:
            found = resolve.connection(session, kind="datahub")
        assert (found.settings["server"], found.secrets) == ("http://theirs", {})

    def test_two_first_saves_are_a_conflict_too(self, save: Save, database: Database) -> None:
        save("datahub")
        with pytest.raises(Conflict), database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="datahub",
                settings={"server": "http://mine"},
                version=0,
            )

    def test_link_local_addresses_are_refused(self, save: Save) -> None:
        for server in ("http://169.254.169.254", "http://2852039166", "http://[fe80::1]"):
            with pytest.raises(InvalidInput, match="metadata"):
                save("datahub", {"server": server})

    def test_an_unknown_kind_names_the_known_ones(self, save: Save) -> None:
        with pytest.raises(UnknownKind, match="datahub, openmetadata"):
            save("oracle", {})


class TestPasswordInsideAUrl:
    @pytest.mark.parametrize(
        ("kind", "settings", "secret"),
        [
            ("ledger", {"url": "mysql://dms:p%40ss%2Fw@h:3306/dms"}, "password"),
            ("rabbitmq", {"url": "amqp://dms:p%40ss%2Fw@h:5672/vhost"}, "password"),
            (
                "databricks",
                {"jdbc_url": "jdbc:databricks://h:443;httpPath=/x;UID=token;PWD=p@ss/w"},
                "access_token",
            ),
        ],
    )
    def test_is_sealed_and_leaves_the_settings(
        self, save: Save, database: Database, kind: str, settings: dict[str, str], secret: str
    ) -> None:
        found = save(kind, settings)
        assert found.secrets == {secret: "p@ss/w"}
        with database.read() as session:
            stored = session.scalars(select(Connection.settings)).one()
        assert "p@ss" not in str(stored)
        assert "p%40ss" not in str(stored)

    def test_is_put_back_for_the_adapter(self, save: Save) -> None:
        found = save("rabbitmq", {"url": "amqp://dms@h:5672/v"}, {"password": "p@ss/w"})
        assert resolve.url(found) == "amqp://dms:p%40ss%2Fw@h:5672/v"


class TestSecretsAtRest:
    def test_a_ciphertext_moved_to_another_place_does_not_open(
        self, save: Save, database: Database
    ) -> None:
        save("datahub", None, {"token": "t0ken"})
        save("directory", None, {"token": "other"})
        with database.write() as session:
            stolen = session.scalars(
                select(ConnectionSecret.ciphertext).where(ConnectionSecret.kind == "datahub")
            ).one()
            session.execute(
                update(ConnectionSecret)
                .where(ConnectionSecret.kind == "directory")
                .values(ciphertext=stolen)
            )
        with pytest.raises(SecretUnreadable, match="directory/token"), database.read() as session:
            resolve.connection(session, kind="directory")

    def test_rotation_puts_every_secret_under_the_newest_key(
        self, save: Save, database: Database
    ) -> None:
        save("datahub", None, {"token": "t0ken"})
        save("postgres", None, {"password": "pw"})
        add_key_to_file(get_settings().data_dir)
        newest = secret_store.get_vault()
        with database.write() as session:
            before = dict(
                session.execute(select(ConnectionSecret.id, ConnectionSecret.updated_at)).all()
            )
            counts = secret_rotation.rotate(session, SYSTEM, vault=newest)
        assert counts["connection_secrets"] == 2
        with database.read() as session:
            rows = session.scalars(select(ConnectionSecret)).all()
            assert {row.key_id for row in rows} == {newest.key_id}
            assert {row.id: row.updated_at for row in rows} == before


class TestTokenizationKey:
    def test_is_made_once_and_stays(self, database: Database, prod: EnvironmentView) -> None:
        with database.write() as session:
            first = secrets.ensure_tokenization_key(session, SYSTEM, environment_id=prod.id)
        with database.write() as session:
            again = secrets.ensure_tokenization_key(session, SYSTEM, environment_id=prod.id)
        assert len(first) == 32
        assert first == again

    def test_differs_between_environments(self, database: Database, prod: EnvironmentView) -> None:
        with database.write() as session:
            other = environments.add(session, SYSTEM, name="Stage")
            keys = {
                secrets.ensure_tokenization_key(session, SYSTEM, environment_id=e.id)
                for e in (prod, other)
            }
        assert len(keys) == 2


class TestResolve:
    def test_what_is_not_configured_is_said_with_the_command(
        self, database: Database, prod: EnvironmentView
    ) -> None:
        with (
            pytest.raises(ConnectionNotConfigured, match="connections set Prod aws"),
            database.read() as session,
        ):
            resolve.connection(session, kind="aws")

    def test_defaults_are_filled_in_and_absent_settings_are_empty(self, save: Save) -> None:
        found = save("datahub")
        assert dict(found.settings) == {
            "server": "http://127.0.0.1:1",
            "frontend_url": "",
            "timeout": "10",
            "report_runs": "off",
        }

    def test_tokenization_works_without_being_configured(
        self, database: Database, prod: EnvironmentView
    ) -> None:
        with database.read() as session:
            found = resolve.connection(session, kind="tokenization")
        assert found.settings["scheme"] == "hmac-sha256"
        assert (found.secrets, found.version) == ({}, 0)

    def test_a_config_never_prints_its_secrets(self, save: Save) -> None:
        assert "t0ken" not in repr(save("datahub", None, {"token": "t0ken"}))


class TestAccess:
    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_others_see_that_it_is_there_and_no_settings(
        self, save: Save, database: Database, actors: object, role: str
    ) -> None:
        save("aws", None, {"secret_access_key": "s"})
        with database.read() as session:
            views = service.list_connections(session, getattr(actors, role), environment="Prod")
        aws = next(view for view in views if view.kind == "aws")
        assert aws.configured
        assert dict(aws.settings) == {}
        assert len(views) == len(kinds.KINDS)

    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_only_admins_save_and_remove(
        self, save: Save, database: Database, actors: object, role: str
    ) -> None:
        save("datahub")
        actor = getattr(actors, role)
        for call in (
            lambda s: service.save(s, actor, environment="Prod", kind="datahub", settings={}),
            lambda s: service.remove(s, actor, environment="Prod", kind="datahub"),
        ):
            with pytest.raises(NotPermitted), database.write() as session:
                call(session)


class TestRemove:
    def test_forgets_settings_and_secrets(self, save: Save, database: Database) -> None:
        save("datahub", None, {"token": "t0ken"})
        with database.write() as session:
            service.remove(session, SYSTEM, environment="Prod", kind="datahub")
        with database.read() as session:
            assert resolve.find(session, kind="datahub") is None
            assert session.execute(text("SELECT count(*) FROM connection_secrets")).scalar() == 0
