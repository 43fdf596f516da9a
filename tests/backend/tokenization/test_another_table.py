"""A name is no proof: what bears it when a run writes has to be what the run was asked for."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from backend.tokenization import preview, repository
from backend.tokenization.engines.base import Blocked
from backend.tokenization.engines.mysql import run as mysql_run
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.tokenization.errors import AnotherTable
from backend.tokenization.schemas import Method, RunState
from backend.tokenization.service import list_runs
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.world import (
    CUSTOMERS,
    STEWARD,
    TOKENIZER,
    Recorder,
    Source,
    World,
    choices,
    customers,
)
from tests.fixtures.mariadb import MariaDBServer

COPY = "INSERT INTO customers TABLE old"
#: How another table or column comes to the name, and where the previewed values are afterwards.
WAYS = {
    "dropped and made anew": (["DROP TABLE customers", CUSTOMERS], ""),
    "another in its place": (["ALTER TABLE customers RENAME TO old", CUSTOMERS, COPY], "old"),
    "names exchanged": (
        [
            "ALTER TABLE customers RENAME COLUMN email TO mail",
            "ALTER TABLE customers RENAME COLUMN name TO email",
        ],
        "",
    ),
}


def readable(source: Source, table: str) -> int:
    query = f"SELECT count(*) FROM {table} AS t WHERE t::text NOT LIKE '%tok\\_%'"
    return int(source.column(query)[0])


@pytest.mark.parametrize("way", WAYS)
class TestPostgres:
    def test_while_the_run_waits_for_its_worker(self, catalogued: World, way: str) -> None:
        statements, aside = WAYS[way]
        view = catalogued.start("customers", "email")
        catalogued.source.run(*statements)
        rows = readable(catalogued.source, "customers")

        ended = catalogued.work(view)

        assert (ended.state, ended.rows_updated) == (RunState.FAILED, 0)
        assert "email: it is not the column that the run was asked for" in ended.details
        assert readable(catalogued.source, "customers") == rows
        assert not aside or readable(catalogued.source, aside) == 50

    def test_between_preview_and_start(self, catalogued: World, way: str) -> None:
        seen = preview.preview(
            catalogued.database,
            STEWARD,
            dataset=catalogued.source.urn("customers"),
            columns=["email"],
        )
        shown = {choice.name: choice.place for choice in seen.choices}
        catalogued.source.run(*WAYS[way][0])

        with pytest.raises(AnotherTable, match="customers is not what was previewed"):
            catalogued.start("customers", "email", places=shown)
        with catalogued.database.read() as session:
            assert list_runs(session, STEWARD).items == ()


@pytest.mark.parametrize("method", [Method.IN_PLACE, Method.REWRITE])
def test_a_table_put_in_its_place_while_the_run_waits_for_the_lock(
    source: Source, method: Method
) -> None:
    # LOCK TABLE looks the name up again after its wait, and locks whatever bears it then.
    customers(source)
    engine = PostgresEngine(_config(source), source.table("customers"), lock_timeout=30)
    places = engine.require_columns(["email"])
    chosen = [replace(each, place=places[each.name]) for each in choices("email")]
    refused: list[BaseException] = []

    def work() -> None:
        try:
            engine.rewrite(chosen, TOKENIZER, Recorder(), method)
        except Blocked as exc:
            refused.append(exc)

    with source.connection() as other, other.cursor() as cursor:
        other.autocommit = False
        cursor.execute("LOCK TABLE customers IN SHARE MODE")
        waiting = threading.Thread(target=work)
        waiting.start()
        _until(source, "SELECT count(*) FROM pg_locks WHERE NOT granted")
        for statement in WAYS["another in its place"][0]:
            cursor.execute(statement)
        other.commit()
        waiting.join(60)

    assert "it is not the column that the run was asked for" in str(refused[0])
    assert readable(source, "customers") == readable(source, "old") == 50


def test_a_run_that_an_earlier_release_queued_goes_on(catalogued: World) -> None:
    view = catalogued.start("customers", "email")
    with catalogued.database.write() as session:
        row = repository.get_locked(session, view.id)
        row.columns = [{"name": "email", "reason": "chosen by name"}]

    assert catalogued.work(view).state is RunState.SUCCEEDED


class TestMySql:
    @pytest.fixture
    def people(self, mariadb_server: MariaDBServer) -> MySource:
        source = MySource(mariadb_server.url(mariadb_server.create_database()))
        source.run(*self.MADE)
        return source

    MADE = (
        "CREATE TABLE people (id int PRIMARY KEY, email varchar(100), name varchar(100))",
        "INSERT INTO people VALUES (1, 'ann@example.org', 'Ann')",
    )

    def test_before_the_run(self, people: MySource) -> None:
        places = people.engine("people").require_columns(["email"])
        chosen = [replace(each, place=places[each.name]) for each in choices("email")]
        people.next_second()
        people.run("RENAME TABLE people TO old", *self.MADE)

        with pytest.raises(Blocked, match="email: it is not the column that the run was asked for"):
            people.engine("people").rewrite(chosen, TOKENIZER, Recorder())
        assert people.column("SELECT email FROM people") == ["ann@example.org"]

    def test_between_the_look_and_the_lock(
        self, people: MySource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proved = mysql_run._prove_same_bytes

        def meanwhile(*arguments: Any) -> None:
            people.next_second()
            people.run("RENAME TABLE people TO old", *self.MADE)
            proved(*arguments)

        monkeypatch.setattr(mysql_run, "_prove_same_bytes", meanwhile)
        with pytest.raises(Blocked, match=r"the table .*people changed meanwhile"):
            people.engine("people").rewrite(choices("email"), TOKENIZER, Recorder())
        assert people.column("SELECT email FROM people") == ["ann@example.org"]

    def test_a_write_makes_no_other_table_of_it(self, people: MySource) -> None:
        places = people.engine("people").require_columns(["email"])
        people.next_second()
        people.run("INSERT INTO people VALUES (2, 'bob@example.org', 'Bob')")
        chosen = [replace(each, place=places[each.name]) for each in choices("email")]

        assert people.engine("people").rewrite(chosen, TOKENIZER, Recorder()).rows_updated == 2


def _config(source: Source) -> Any:
    return type("Config", (), {"settings": source.settings, "secrets": source.secrets})()


def _until(source: Source, query: str) -> None:
    end = time.monotonic() + 30
    while not source.column(query)[0]:
        assert time.monotonic() < end, "it never waited"
        time.sleep(0.02)
