"""What changes between the look at a table and the lock of its rows ends the run, by its name."""

import pytest

from backend.core.errors import UpstreamError
from backend.integrations.mysql.errors import MEANINGS
from backend.integrations.mysql.probe import probe
from backend.tokenization.engines.base import Blocked
from backend.tokenization.engines.mysql import run
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.world import TOKENIZER, Recorder, choices
from tests.fixtures.mariadb import MariaDBServer


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE people ADD COLUMN more int", "the columns of"),
        ("CREATE INDEX by_email ON people (email)", "the indexes of"),
        ("ALTER TABLE people ADD CONSTRAINT c CHECK (email <> 'x')", "the checks of"),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW SET NEW.email = 'x'",
            "the triggers of",
        ),
        ("SET GLOBAL slow_query_log = 1 - @@global.slow_query_log", "the slow log of the server "),
        ("SET GLOBAL general_log = 1 - @@global.general_log", "the general log of the server "),
    ],
)
def test_what_moved_is_named(
    own_mariadb_server: MariaDBServer,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    said: str,
) -> None:
    source = MySource(own_mariadb_server.url(own_mariadb_server.create_database()))
    source.run(
        "CREATE TABLE people (id int PRIMARY KEY, email varchar(100))",
        "INSERT INTO people VALUES (1, 'ann@example.org')",
    )
    proved = run._prove_same_bytes

    def meanwhile(*arguments: object) -> None:
        source.next_second()  # whatever is altered, the table's age is another then
        source.run(statement)
        proved(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "_prove_same_bytes", meanwhile)
    with pytest.raises(Blocked) as caught:
        source.engine("people").rewrite(choices("email"), TOKENIZER, Recorder())
    where = "" if "server" in said else f" {source.table('people')} "
    assert f"Nothing was changed: {said}{where}".rstrip() in str(caught.value)
    assert str(caught.value).endswith("changed meanwhile; preview it again.")
    assert ("of the server" in str(caught.value)) == ("server" in said)
    assert source.column("SELECT email FROM people") == ["ann@example.org"]


@pytest.fixture
def people(own_mariadb_server: MariaDBServer) -> MySource:
    """On a server whose settings may be changed."""
    source = MySource(own_mariadb_server.url(own_mariadb_server.create_database()))
    source.run(
        "CREATE TABLE people (id int PRIMARY KEY, email varchar(100))",
        "INSERT INTO people VALUES (1, 'ann@example.org')",
    )
    return source


def test_transactions_that_only_read_by_default_write_all_the_same(people: MySource) -> None:
    people.needs("MariaDB")
    people.run("SET GLOBAL tx_read_only = 1")
    try:
        done = people.engine("people").rewrite(choices("email"), TOKENIZER, Recorder())
    finally:
        people.run("SET GLOBAL tx_read_only = 0")
    assert done.rows_updated == 1


def test_a_server_without_tables_in_memory_is_no_replica(people: MySource) -> None:
    people.needs("MariaDB")
    people.run("SET GLOBAL enforce_storage_engine = InnoDB")
    try:
        with pytest.raises(UpstreamError, match=MEANINGS[3161].cause):
            probe(people.settings, people.secrets)
        with pytest.raises(UpstreamError, match="no tables of the engine MEMORY"):
            people.engine("people").rewrite(choices("email"), TOKENIZER, Recorder())
    finally:
        people.run("SET GLOBAL enforce_storage_engine = NULL")
    assert people.column("SELECT email FROM people") == ["ann@example.org"]
