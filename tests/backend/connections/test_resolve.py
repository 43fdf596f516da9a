"""Environments and connections by name and number, for whoever's request or token asks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend.connections import environments, resolve, service
from backend.connections.errors import (
    ConnectionNotConfigured,
    EnvironmentDeleted,
    EnvironmentNotFound,
    NoDefaultEnvironment,
)
from backend.core import access
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotPermitted


@pytest.fixture
def numbers(database: Database) -> dict[str, int]:
    """Two environments, `dev` the default one, each with a datahub connection of its own."""
    with database.write() as session:
        for name in ("dev", "live"):
            environments.add(session, SYSTEM, name=name, default=name == "dev")
            service.save(
                session,
                SYSTEM,
                environment=name,
                kind="datahub",
                settings={"server": f"https://{name}.example.org"},
                secrets_in={"token": f"token-of-{name}"},
            )
    with database.read() as session:
        return {name: number for number, name in resolve.names(session).items()}


@pytest.fixture
def limited(numbers: dict[str, int]) -> Iterator[None]:
    """The request's token reaches `live` alone."""
    token = Actor(7, "nightly", Role.ADMIN, "api_token", environments=frozenset({numbers["live"]}))
    access.limit_environments(token)
    yield
    access.limit_environments(None)


class TestNames:
    def test_the_default_and_the_named_one(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.read() as session:
            assert resolve.environment(session).name == "dev"
            assert resolve.environment(session, "live").name == "live"
            with pytest.raises(EnvironmentNotFound):
                resolve.environment(session, "nobody")

    def test_however_it_was_typed_records_keep_one_spelling(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Two Words")
        with database.read() as session:
            assert resolve.spelling(session, "  two   WORDS ") == "Two Words"
            assert resolve.spelling(session, " gone  ") == " gone  "

    def test_all_are_reached_where_nothing_limits(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.read() as session:
            assert resolve.reached(session) == resolve.names(session)
            assert sorted(resolve.names(session).values()) == ["dev", "live"]
            resolve.require_reach(session, numbers["dev"])


class TestConnection:
    @pytest.mark.parametrize(("asked", "name"), [(None, "dev"), ("dev", "dev"), ("live", "live")])
    def test_is_the_environments_own(
        self, database: Database, numbers: dict[str, int], asked: str | None, name: str
    ) -> None:
        with database.read() as session:
            configs = [
                resolve.connection(session, kind="datahub", environment=asked),
                resolve.find(session, kind="datahub", environment=asked),
                resolve.find_in(session, numbers[name], kind="datahub"),
            ]
        for config in configs:
            assert config is not None
            assert config.environment.name == name
            assert (config.kind, config.version) == ("datahub", 1)
            assert config.settings["server"] == f"https://{name}.example.org"
            assert config.secrets["token"] == f"token-of-{name}"

    @pytest.mark.usefixtures("numbers")
    def test_one_that_is_not_configured_names_kind_and_environment(
        self, database: Database
    ) -> None:
        with database.read() as session:
            assert resolve.find(session, kind="rabbitmq", environment="live") is None
            with pytest.raises(ConnectionNotConfigured) as refused:
                resolve.connection(session, kind="rabbitmq", environment="live")
        assert str(refused.value) == str(ConnectionNotConfigured("live", "RabbitMQ", "rabbitmq"))

    def test_an_environment_that_went_is_said(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.read() as session, pytest.raises(EnvironmentDeleted):
            resolve.find_in(session, 999, kind="datahub")

    def test_without_a_default_nothing_is_guessed(self, database: Database) -> None:
        with database.read() as session, pytest.raises(NoDefaultEnvironment):
            resolve.connection(session, kind="datahub")


@pytest.mark.usefixtures("limited")
class TestWithinReach:
    REFUSAL = (
        "This API token is limited to other environments than {}. Ask an admin for one that "
        "reaches it, or name an environment of the token."
    )

    def test_only_the_tokens_own_are_listed(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.read() as session:
            assert resolve.reached(session) == {numbers["live"]: "live"}

    def test_what_is_its_own_is_found_every_way(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.read() as session:
            assert resolve.environment(session, "live").name == "live"
            assert resolve.find_in(session, numbers["live"], kind="datahub")
            resolve.require_reach(session, numbers["live"])

    @pytest.mark.parametrize("way", ["default", "name", "number", "kept"])
    def test_the_others_are_refused_by_name_every_way(
        self, database: Database, numbers: dict[str, int], way: str
    ) -> None:
        with database.read() as session, pytest.raises(NotPermitted) as refused:
            match way:
                case "default":
                    resolve.environment(session)
                case "name":
                    resolve.connection(session, kind="datahub", environment="dev")
                case "number":
                    resolve.find_in(session, numbers["dev"], kind="datahub")
                case "kept":
                    resolve.require_reach(session, numbers["dev"])
        assert str(refused.value) == self.REFUSAL.format("dev")

    def test_one_that_is_gone_is_refused_by_its_number(self, database: Database) -> None:
        with database.read() as session, pytest.raises(NotPermitted) as refused:
            resolve.require_reach(session, 999)
        assert str(refused.value) == self.REFUSAL.format("number 999")


class TestUrl:
    """What was saved before its host or options were refused is refused when it is used."""

    @pytest.mark.parametrize(
        ("kind", "url"),
        [
            ("ledger", "mysql+pymysql://u@169.254.169.254/x"),
            ("rabbitmq", "amqp://u@169.254.169.254/"),
        ],
    )
    def test_a_host_that_may_not_be_asked(
        self, database: Database, numbers: dict[str, int], kind: str, url: str
    ) -> None:
        with database.read() as session:
            config = resolve.find(session, kind="datahub")
        assert config is not None
        with pytest.raises(InvalidInput, match=f"^{kind} url leads to a link-local"):
            resolve.url(_of(config, kind, url))

    def test_a_file_of_this_machine_is_the_sandboxs_alone(
        self, database: Database, numbers: dict[str, int]
    ) -> None:
        with database.read() as session:
            config = resolve.find(session, kind="datahub")
        assert config is not None
        file = _of(config, "ledger", "sqlite:////srv/ledger.sqlite")
        with pytest.raises(InvalidInput, match=r"^ledger url: only the sandbox may use sqlite"):
            resolve.url(file)
        environment = replace(file.environment, is_sandbox=True)
        sandbox = replace(file, environment=environment, secrets={})
        assert resolve.url(sandbox) == "sqlite:////srv/ledger.sqlite"

    def test_the_password_is_put_in(self, database: Database, numbers: dict[str, int]) -> None:
        with database.read() as session:
            config = resolve.find(session, kind="datahub")
        assert config is not None
        made = resolve.url(_of(config, "rabbitmq", "amqp://u@broker.example.org/"))
        assert made == "amqp://u:planted-secret@broker.example.org/"


def _of(config: resolve.ConnectionConfig, kind: str, url: str) -> resolve.ConnectionConfig:
    return replace(config, kind=kind, settings={"url": url}, secrets={"password": "planted-secret"})
