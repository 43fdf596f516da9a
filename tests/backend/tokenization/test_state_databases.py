"""The room's own tables on PostgreSQL and MariaDB as the portal's state database."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from backend.core import secret_store
from backend.core.database import Database, forget_databases, get_database
from backend.core.settings import get_settings
from backend.migrations import runner as migrations
from backend.tokenization import service, watch
from backend.tokenization.alerts import alerts
from backend.tokenization.errors import TableBusy
from backend.tokenization.schemas import RunFilters, RunState
from tests.backend.tokenization import world as worlds
from tests.backend.tokenization.world import STEWARD, Source, World


@pytest.fixture(params=["postgres", "mariadb"])
def elsewhere(
    request: pytest.FixtureRequest,
    data_dir: Any,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: Any,
    gms: Any,
) -> Iterator[World]:
    """The catalogued world with its state on another server."""
    url = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("PORTAL_DATABASE_URL", url)
    get_settings.cache_clear()
    database = get_database()
    migrations.upgrade(database)
    secret_store.ensure(database, secret_store.get_vault())
    name = postgres_server.create_database()
    source = Source(postgres_server.url(name))
    worlds.customers(source)
    worlds.seed_dataset(gms, source)
    yield worlds.make_world(database, source, gms)
    forget_databases()
    postgres_server.drop_database(name)


def test_a_run_from_tag_to_proof(elsewhere: World) -> None:
    (answer,) = watch.poll(elsewhere.database, STEWARD)
    assert answer.run is not None
    assert watch.poll(elsewhere.database, STEWARD) == ()

    view = elsewhere.work(answer.run)

    assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 50)
    assert elsewhere.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
    with elsewhere.database.read() as session:
        found = service.list_runs(session, STEWARD, filters=RunFilters(text="CUSTOMERS")).items
        assert [run.id for run in found] == [view.id]
        assert alerts(session, STEWARD) == []


def test_of_many_who_ask_at_once_one_gets_the_table(elsewhere: World) -> None:
    outcomes: list[object] = []

    def ask(database: Database) -> None:
        try:
            outcomes.append(elsewhere.start("customers", "email"))
        except TableBusy as exc:
            outcomes.append(exc)

    threads = [threading.Thread(target=ask, args=(elsewhere.database,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(outcomes) == 6
    assert sum(isinstance(each, TableBusy) for each in outcomes) == 5
