"""The key on a MariaDB that logs everything: in no log, process list, binary log or file."""

import base64
from collections.abc import Iterator

import pytest

from backend.tokenization.engines.base import Blocked
from backend.tokenization.engines.mysql import expressions
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.world import KEY, TOKENIZER, Recorder, choices
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.servers import _started


class Logging(MariaDBServer):
    """One that writes each statement three times."""

    options = (
        "--log-bin=binary",
        "--binlog-format=MIXED",
        "--general-log=1",
        "--general-log-file=general.log",
        "--slow-query-log=1",
        "--slow-query-log-file=slow.log",
        "--long-query-time=0",
        "--performance-schema=ON",
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Logging]:
    """A server of this module's own."""
    yield from _started(None, Logging, "MariaDB")


@pytest.fixture
def shop(server: Logging) -> Iterator[MySource]:
    """A database on it, with 50 people."""
    name = server.create_database()
    source = MySource(server.url(name))
    source.run(
        "CREATE TABLE people (id int PRIMARY KEY, email varchar(100))",
        "INSERT INTO people SELECT seq, CONCAT('person', seq, '@example.org') FROM seq_1_to_50",
    )
    yield source
    server.drop_database(name)


def spellings() -> list[bytes]:
    """Every form in which the key, or a part of it that gives it away, could be written."""
    keys = TOKENIZER.padded_keys()
    found = []
    for secret in (KEY, keys.inner[:32], keys.outer[:32]):
        for part in (secret, secret[:16], secret[16:]):
            found += [part, part.hex().encode(), part.hex().upper().encode()]
        found.append(base64.b64encode(secret)[:40])
    return found


def written(server: Logging) -> bytes:
    """All files of the server, its logs and tables among them."""
    assert server._folder
    files = [path for path in server._folder.rglob("*") if path.is_file()]
    return b"\n".join(path.read_bytes() for path in files)


def test_no_log_no_process_list_and_no_file_holds_the_key(server: Logging, shop: MySource) -> None:
    seen: list[str] = []

    def look() -> None:
        for query in (
            "SELECT info FROM information_schema.processlist",
            "SELECT sql_text FROM performance_schema.events_statements_history",
            "SELECT variable_value FROM performance_schema.user_variables_by_thread",
        ):
            seen.extend(str(row[0]) for row in shop.rows(query))

    control = Recorder(on_started=look, on_committing=look)
    shop.engine("people").rewrite(choices("email"), TOKENIZER, control)
    shop.run("FLUSH LOGS")

    files, shown = written(server), "\n".join(seen).encode()
    assert b"RANDOM_BYTES" in files  # the general log is one of them, and is on
    assert b"UPDATE" in files
    for spelling in spellings():
        assert spelling not in files
        assert spelling not in shown
    assert shop.column("SELECT COUNT(*) FROM people WHERE email LIKE 'tok%'") == [50]


def test_the_binary_log_holds_rows_and_nothing_of_the_key_table(
    server: Logging, shop: MySource
) -> None:
    shop.engine("people").rewrite(choices("email"), TOKENIZER, Recorder())
    shop.run("FLUSH LOGS")

    assert server._folder
    logs = [path.read_bytes() for path in (server._folder / "data").glob("binary.0*")]
    assert any(b"person7@example.org" in log for log in logs)  # the old row: said in the docs
    # MariaDB notes the UPDATE beside its rows; what made and filled the key's table is not there.
    assert not any(b"RANDOM_BYTES" in log or b"CREATE TEMPORARY" in log for log in logs)


def test_a_login_that_cannot_have_rows_logged_is_refused(shop: MySource) -> None:
    user = f"u_{shop.database}"
    shop.run(
        f"CREATE USER '{user}'@'%' IDENTIFIED BY '{shop.secrets['password']}'",
        f"GRANT ALL PRIVILEGES ON {shop.database}.* TO '{user}'@'%'",
    )
    try:
        with pytest.raises(Blocked, match="binary log's format is MIXED"):
            shop.engine("people", user=user).rewrite(choices("email"), TOKENIZER, Recorder())
    finally:
        shop.run(f"DROP USER '{user}'@'%'")

    assert shop.column("SELECT COUNT(*) FROM people WHERE email LIKE '%@%'") == [50]


def test_a_statement_with_the_key_in_it_would_be_found(server: Logging, shop: MySource) -> None:
    """The search of the tests above can fail."""
    with shop.connection() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT '{bytes(range(100, 132)).hex()}'")

    assert bytes(range(100, 132)).hex().encode() in written(server)


def test_the_key_tables_name_is_new_each_time_and_not_shown() -> None:
    one, other = expressions.Key(), expressions.Key()

    assert one.name != other.name
    assert one.name not in repr(one)
