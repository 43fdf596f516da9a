"""What tests of the REST interface share."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from backend.accounts import api_tokens
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.jobs import broker, runner, worker
from tests.fixtures.api import rest_app


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    """The API as a client sees it: a bug is a 500, not an exception of the test."""
    with TestClient(rest_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def workers(database: Database) -> Iterator[None]:
    """Job threads in this process, as in the app's."""
    broker.reset()
    running = worker.start(database, queues=[broker.JOBS, broker.SANDBOX])
    yield
    running.stop()
    runner.stopping.clear()
    broker.reset()


@pytest.fixture
def bearer(database: Database) -> Callable[[str], dict[str, str]]:
    """bearer("viewer") → the headers of a fresh API token of that role."""

    def make(role: str) -> dict[str, str]:
        with database.write() as session:
            made = api_tokens.add(session, SYSTEM, name=f"t-{role}", role=Role(role))
        return {"Authorization": f"Bearer {made.raw}"}

    return make
