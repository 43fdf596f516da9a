"""Clients on both transports and on every kind of ledger."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.dms.client import DMSClient
from tests.fixtures.dms_responder import MemoryResponder, RabbitResponder, Server


@pytest.fixture(params=["memory", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """A broker nobody used before, in memory and real."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return str(request.getfixturevalue("rabbitmq_url"))


@pytest.fixture
def start_responder() -> Iterator[Callable[..., Any]]:
    """Starts DMS servers on a broker; stops them all afterwards."""
    started: list[Any] = []

    def start(url: str, host: str = "compute-01") -> Server:
        kind = MemoryResponder if url.startswith("memory:") else RabbitResponder
        started.append(kind(url, host))
        return started[-1]

    yield start
    for responder in started:
        responder.stop()


@pytest.fixture
def ledger_url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def start_client(ledger_url: str) -> Iterator[Callable[..., DMSClient]]:
    """Clients of one ledger; closed afterwards."""
    started: list[DMSClient] = []

    def start(broker: str, timeout: float = 60.0, *, db_url: str = "", **more: Any) -> DMSClient:
        started.append(DMSClient(db_url or ledger_url, broker, timeout, **more))
        return started[-1]

    yield start
    for client in started:
        client.close()
