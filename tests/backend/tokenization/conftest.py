"""Fixtures of the tokenization tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from backend.core.database import Database
from tests.backend.tokenization import world as worlds
from tests.backend.tokenization.world import Source, World


@pytest.fixture
def source(postgres_url: str) -> Source:
    """A fresh database on a real PostgreSQL."""
    return Source(postgres_url)


@pytest.fixture
def gms() -> Iterator[Any]:
    """A DataHub stand-in."""
    from backend.sandbox.datahub import StandIn

    with StandIn(token="datahub-token") as server:
        yield server


@pytest.fixture
def world(database: Database, source: Source) -> World:
    """The portal without DataHub."""
    return worlds.make_world(database, source)


@pytest.fixture
def catalogued(database: Database, source: Source, gms: Any) -> World:
    """The portal with a DataHub stand-in that knows the tagged customers table."""
    worlds.customers(source)
    worlds.seed_dataset(gms, source)
    return worlds.make_world(database, source, gms)
