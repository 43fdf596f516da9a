"""An environment to work with, and servers that misbehave on purpose."""

from collections.abc import Callable, Iterator

import pytest

from backend.connections import environments, resolve, service
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.integrations import network
from tests.backend.connections.bad_server import BadServer
from tests.backend.connections.refusals import Ask

#: A valid value for every required field, per kind.
VALID: dict[str, dict[str, str]] = {
    "datahub": {"server": "http://127.0.0.1:1"},
    "openmetadata": {"host_port": "http://127.0.0.1:1/api"},
    "directory": {"endpoint": "http://127.0.0.1:1/graphql"},
    "ledger": {"url": "mysql+pymysql://u@127.0.0.1:1/dms"},
    "rabbitmq": {"url": "amqp://u@127.0.0.1:1/"},
    "postgres": {"host": "127.0.0.1", "port": "1", "database": "d", "user": "u"},
    "mysql": {"host": "127.0.0.1", "port": "1", "database": "d", "user": "u"},
    "databricks": {"server_hostname": "127.0.0.1", "http_path": "/sql/x", "catalog": "c"},
    "aws": {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:1", "access_key_id": "AK"},
    "tokenization": {"scheme": "hmac-sha256"},
}

Save = Callable[..., ConnectionConfig]


@pytest.fixture
def prod(database: Database) -> EnvironmentView:
    """The default environment."""
    with database.write() as session:
        return environments.add(session, SYSTEM, name="Prod")


@pytest.fixture
def save(database: Database, prod: EnvironmentView) -> Save:
    """save("datahub", {"server": …}, {"token": …}) → the resolved connection."""

    def do(
        kind: str, settings: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> ConnectionConfig:
        with database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment=prod.name,
                kind=kind,
                settings=VALID[kind] if settings is None else settings,
                secrets_in=secrets or {},
            )
        with database.read() as session:
            return resolve.connection(session, kind=kind)

    return do


@pytest.fixture
def ask(prod: EnvironmentView, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ask]:
    """ask("datahub") → what provokes that kind's refusals, outside a container or in one as it
    says."""

    def make(kind: str) -> Ask:
        made = Ask(prod, kind)
        monkeypatch.setattr(network, "in_container", lambda: made.contained)
        return made

    return make


@pytest.fixture
def bad_server() -> Iterator[BadServer]:
    """A server on loopback; set `.behave` to one of bad_server's functions."""
    with BadServer() as server:
        yield server
