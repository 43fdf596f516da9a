"""A portal with something in every room, its REST face, and a token for each role."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.accounts import api_tokens
from backend.connections import environments, service
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from tests.backend.cli.conftest import run_cli as run_cli

ENVIRONMENT = "prod"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Thousands of refusals are provoked here; writing their log lines is most of the time."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    yield
    root.setLevel(before)


@pytest.fixture
def world(database: Database, tmp_path: Path, quiet: None) -> Iterator[Database]:
    """`prod`: a ledger with entries, agents on a broker in memory, and systems that refuse.

    No directory: its client retries for seconds.
    """
    from backend.mounts import settings as dms_settings
    from backend.sandbox import ledger

    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger.seed(url, entries=30)
    saved = {
        "ledger": {"url": url},
        "rabbitmq": {"url": f"memory://{tmp_path.name}?hosts=compute-01"},
        "datahub": {"server": "http://127.0.0.1:1"},
        "openmetadata": {"host_port": "http://127.0.0.1:1/api"},
        "postgres": {"host": "127.0.0.1", "port": "1", "database": "shop", "user": "u"},
        "aws": {
            "region": "eu-central-1",
            "endpoint_url": "http://127.0.0.1:1",
            "access_key_id": "AK",
        },
    }
    with database.write() as session:
        # only the sandbox's ledger may be a file
        environments.add(session, SYSTEM, name=ENVIRONMENT, default=True, is_sandbox=True)
        for kind, settings in saved.items():
            secrets = {"secret_access_key": "x"} if kind == "aws" else {}
            service.save(
                session,
                SYSTEM,
                environment=ENVIRONMENT,
                kind=kind,
                settings=settings,
                secrets_in=secrets,
            )
    yield database
    dms_settings.forget_ledgers()


@pytest.fixture
def api(world: Database) -> FastAPI:
    """The REST face over `world`."""
    from tests.fixtures.api import rest_app

    return rest_app()


@pytest.fixture
def client(api: FastAPI) -> Iterator[TestClient]:
    """A client that is shown a 500 as a client would see it."""
    with TestClient(api, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def tokens(world: Database) -> dict[str, str]:
    """Role → raw API token."""
    with world.write() as session:
        return {
            role.value: api_tokens.add(session, SYSTEM, name=f"{role.value}-bot", role=role).raw
            for role in Role
        }
