"""No door sends a stored secret to an address that came after it, and none is inherited."""

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from backend.connections import environments, resolve, service
from backend.connections.errors import SecretsAskedAgain
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.cli.conftest import RunCli
from tests.fixtures.api import rest_app
from tests.security.conftest import ENVIRONMENT

SECRET = "planted-s3cret"
OLD = "http://127.0.0.1:1"


class Elsewhere:
    """A listener that nobody should have talked to."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def was_called(self) -> bool:
        try:
            self._listening.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        yield Elsewhere(listening)


@pytest.fixture
def stored(database: Database) -> Database:
    """DataHub at OLD with a token."""
    with database.write() as session:
        environments.add(session, SYSTEM, name=ENVIRONMENT, default=True)
        service.save(
            session,
            SYSTEM,
            environment=ENVIRONMENT,
            kind="datahub",
            settings={"server": OLD},
            secrets_in={"token": SECRET},
        )
    return database


def settings_of(database: Database) -> tuple[str, dict[str, str]]:
    with database.read() as session:
        found = resolve.connection(session, kind="datahub")
    return found.settings["server"], dict(found.secrets)


class TestRest:
    @pytest.fixture
    def client(self, stored: Database) -> Iterator[TestClient]:
        from backend.accounts import api_tokens

        with stored.write() as session:
            raw = api_tokens.add(session, SYSTEM, name="nightly", role="admin").raw
        headers = {"Authorization": f"Bearer {raw}"}
        with TestClient(rest_app(), headers=headers) as client:
            yield client

    @pytest.mark.parametrize("door", ["save", "test", "save and clear nothing"])
    def test_is_refused_and_nothing_goes_there(
        self, client: TestClient, stored: Database, elsewhere: Elsewhere, door: str
    ) -> None:
        path = f"/api/environments/{ENVIRONMENT}/connections/datahub"
        body = {"settings": {"server": elsewhere.url}}
        if door == "test":
            answer = client.post(f"{path}/test", json=body)
        else:
            more = {"clear_secrets": []} if "clear" in door else {}
            answer = client.put(path, json={**body, **more})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"] == SecretsAskedAgain.__name__
        assert "Enter token again" in answer.json()["detail"]
        assert not elsewhere.was_called()
        assert settings_of(stored) == (OLD, {"token": SECRET})


class TestCommands:
    @pytest.mark.parametrize("verb", ["set", "try"])
    def test_is_refused_and_nothing_goes_there(
        self, stored: Database, run_cli: RunCli, elsewhere: Elsewhere, verb: str
    ) -> None:
        ended = run_cli("connections", verb, ENVIRONMENT, "datahub", f"server={elsewhere.url}")
        assert ended.status == 1
        assert "Enter token again" in ended.err
        assert not elsewhere.was_called()
        assert settings_of(stored) == (OLD, {"token": SECRET})

    def test_a_document_names_the_refusal(
        self, stored: Database, run_cli: RunCli, elsewhere: Elsewhere
    ) -> None:
        ended = run_cli(
            "connections", "set", ENVIRONMENT, "datahub", f"server={elsewhere.url}", "--json"
        )
        assert json.loads(ended.out)["error"] == SecretsAskedAgain.__name__


@pytest.mark.parametrize(
    ("kind", "secret", "old", "new"),
    [
        ("ledger", "password", {"url": "postgresql://u@db:1/d?sslmode=verify-full"},
         {"url": "postgresql://u@db:1/d?sslmode=disable"}),
        ("ledger", "password", {"url": "mysql://u@db:1/d"}, {"url": "postgresql://u@db:1/d"}),
        ("rabbitmq", "password", {"url": "amqps://u@mq:1/v"}, {"url": "amqp://u@mq:1/v"}),
        ("rabbitmq", "password", {"url": "amqp://u@mq/"}, {"url": "amqp://u@mq,other/"}),
        ("postgres", "password", {"host": "db", "database": "d", "user": "u"}, {"host": "db."}),
        ("datahub", "token", {"server": "http://gms:8080"}, {"server": "http://gms:8080/proxy"}),
    ],
    ids=["no TLS any more", "another driver", "plain amqp", "one broker more", "a dot", "a path"],
)  # fmt: skip
def test_what_changes_the_receiver_without_changing_its_name_counts(
    database: Database, kind: str, secret: str, old: dict[str, str], new: dict[str, str]
) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name=ENVIRONMENT, default=True)
        service.save(
            session, SYSTEM, environment=ENVIRONMENT, kind=kind, settings=old,
            secrets_in={secret: SECRET},
        )  # fmt: skip
    with (
        database.write() as session,
        pytest.raises(SecretsAskedAgain, match=f"Enter {secret} again"),
    ):
        service.save(session, SYSTEM, environment=ENVIRONMENT, kind=kind, settings=new)


def test_an_environment_inherits_nothing_of_a_deleted_one(stored: Database) -> None:
    with stored.write() as session:
        environments.remove(session, SYSTEM, name=ENVIRONMENT, confirm_name=ENVIRONMENT)
    with stored.write() as session:
        environments.add(session, SYSTEM, name=ENVIRONMENT, default=True)
        service.save(
            session, SYSTEM, environment=ENVIRONMENT, kind="datahub", settings={"server": OLD}
        )
    assert settings_of(stored) == (OLD, {})
