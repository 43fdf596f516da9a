"""A stand-in with the contract's sample users, and a gateway on it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.sandbox.openmetadata import StandIn, seeding

CONTRACTS = Path(__file__).parents[5] / "shared" / "contracts" / "openmetadata"


def sample(name: str) -> Any:
    path = CONTRACTS / name
    if not path.exists():
        pytest.skip(f"the wire contract {name} is not on this machine")
    return json.loads(path.read_text())


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn(seed=seeding.seed_demo) as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., OpenMetadataGateway]]:
    """connect(server, "admin", timeout=…): gateways that are closed at the end."""
    opened: list[OpenMetadataGateway] = []

    def _connect(
        server: StandIn, account: str = "portal-admin", **more: Any
    ) -> OpenMetadataGateway:
        expires = more.pop("expires_in", 3600)
        gateway = OpenMetadataGateway(
            server.url, server.token(account, expires), sleep=lambda _s: None, **more
        )
        opened.append(gateway)
        return gateway

    yield _connect
    for gateway in opened:
        gateway.close()


@pytest.fixture
def gateway(stand_in: StandIn, connect: Callable[..., OpenMetadataGateway]) -> OpenMetadataGateway:
    return connect(stand_in)
