"""Which connection a dataset of a server with several databases is tokenized through."""

import pytest

from backend.connections import environments, service
from backend.connections.schemas import ConnectionConfig
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.tokenization import sources
from backend.tokenization.schemas import TableName
from backend.tokenization.sources import Source

_SERVERS = {
    "postgres": {"host": "127.0.0.1", "database": "shop", "user": "u", "databases": "crm, hr"},
    "mysql": {"host": "127.0.0.1", "database": "shop", "user": "u", "databases": "crm"},
}


@pytest.fixture
def located(database: Database) -> Database:
    """An environment with both servers."""
    with database.write() as session:
        environments.add(session, SYSTEM, name="test")
        for kind, settings in _SERVERS.items():
            service.save(
                session,
                SYSTEM,
                environment="test",
                kind=kind,
                settings=settings,
                secrets_in={"password": "p"},
            )
    return database


def locate(database: Database, platform: str, name: str) -> Source:
    urn = f"urn:li:dataset:(urn:li:dataPlatform:{platform},{name},PROD)"
    with database.read() as session:
        return sources.locate(session, dataset=urn)


@pytest.mark.parametrize(
    ("platform", "name", "engine", "table"),
    [
        ("postgres", "shop.public.people", "postgres", ("shop", "public", "people")),
        ("postgres", "crm.sales.people", "postgres", ("crm", "sales", "people")),
        ("postgres", "eu.hr.public.people", "postgres", ("hr", "public", "people")),
        ("mysql", "shop.people", "mysql", ("shop", "", "people")),
        ("mariadb", "crm.people", "mysql", ("crm", "", "people")),
        ("mysql", "instance.crm.people", "mysql", ("crm", "", "people")),
    ],
)
def test_the_database_of_the_name_is_connected_to(
    located: Database, platform: str, name: str, engine: str, table: tuple[str, str, str]
) -> None:
    found = locate(located, platform, name)

    assert (found.engine, found.table) == (engine, TableName(*table))
    assert isinstance(found.connection, ConnectionConfig)
    assert found.connection.settings["database"] == table[0]


def test_tables_of_two_databases_are_two_tables(located: Database) -> None:
    keys = {
        sources.active_key(locate(located, platform, name))
        for platform, name in (
            ("postgres", "shop.public.people"),
            ("postgres", "crm.public.people"),
            ("mysql", "shop.people"),
            ("mysql", "crm.people"),
        )
    }

    assert len(keys) == 4
    # One server of two platforms in DataHub holds the table once.
    assert sources.active_key(locate(located, "mariadb", "crm.people")) in keys


def test_a_database_that_is_not_named_is_refused_with_those_that_are(located: Database) -> None:
    with pytest.raises(InvalidInput, match=r"are: test \(shop, crm, hr\)"):
        locate(located, "postgres", "other.public.people")
    with pytest.raises(InvalidInput, match=r"a dataset's name is <database>\.<table>"):
        locate(located, "mysql", "other.people")
    with pytest.raises(InvalidInput, match="only those of postgres, mysql, mariadb, databricks"):
        locate(located, "oracle", "a.b")
