"""Between the request and its end, connections and environments can change under a run."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from backend.connections import service as connections
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.world import ADMIN, Source, World, customers
from tests.fixtures.postgres import PostgresServer


def save(world: World, kind: str, settings: dict[str, str], secrets: dict[str, str]) -> None:
    with world.database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment=world.environment,
            kind=kind,
            settings=settings,
            secrets_in=secrets,
        )


def plain(source: Source) -> int:
    return int(source.column("SELECT count(*) FROM customers WHERE email LIKE '%@%'")[0])


@pytest.fixture(scope="module")
def second_server() -> Iterator[PostgresServer]:
    server = PostgresServer.launch()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def elsewhere(source: Source, second_server: PostgresServer) -> Source:
    """Another server's database of the same name, with the same table."""
    connection = second_server.connect("postgres")
    connection.cursor().execute(f'CREATE DATABASE "{source.database}"')
    connection.close()
    found = Source(second_server.url(source.database))
    customers(found, rows=7)
    return found


class TestQueued:
    """A queued run does what was asked for, or nothing."""

    def refused(self, world: World, view: Any, what: str) -> None:
        ended = world.work(view)

        assert (ended.state, ended.rows_updated) == (RunState.FAILED, 0)
        assert f"{what} of the environment test was changed after this run" in ended.details
        assert plain(world.source) == 50

    def test_the_connection_points_at_another_server(
        self, catalogued: World, elsewhere: Source
    ) -> None:
        view = catalogued.start("customers", "email")
        save(catalogued, "postgres", elsewhere.settings, elsewhere.secrets)

        self.refused(catalogued, view, "the postgres connection")
        assert plain(elsewhere) == 7

    def test_the_scheme_became_reversible(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        save(catalogued, "tokenization", {"scheme": "base64"}, {})

        self.refused(catalogued, view, "the tokenization scheme")

    def test_the_key_is_another_one(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        other = base64.b64encode(b"x" * 32).decode()
        save(catalogued, "tokenization", {}, {"key": other})

        self.refused(catalogued, view, "the tokenization key")

    def test_a_new_password_is_no_other_server(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        save(catalogued, "postgres", catalogued.source.settings, catalogued.source.secrets)

        assert catalogued.work(view).state is RunState.SUCCEEDED
