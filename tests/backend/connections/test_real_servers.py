"""Probes against real servers, each working and then broken once."""

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text, update

from backend.connections import testing
from backend.connections.schemas import TestResult
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.dms.schema import LEDGER_NAME, metadata
from backend.models import Environment
from tests.backend.connections.conftest import Save
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.rabbitmq import RabbitMQServer

WRONG = "wrong-planted-pw"


@pytest.fixture
def ask(database: Database) -> Callable[[str], TestResult]:
    """ask("postgres") → the result, as page, CLI and REST get it."""

    def do(kind: str) -> TestResult:
        result = testing.run(database, SYSTEM, environment=None, kind=kind)
        assert WRONG not in str(result)
        return result

    return do


def postgres_settings(url: str, **changed: str) -> dict[str, str]:
    parsed = make_url(url)
    settings = {
        "host": str(parsed.host),
        "port": str(parsed.port),
        "database": str(parsed.database),
        "user": str(parsed.username),
    }
    return {**settings, **changed}


def password(url: str) -> dict[str, str]:
    return {"password": make_url(url).password or ""}


class TestPostgres:
    def test_works_and_tells_its_version(
        self, save: Save, ask: Callable[[str], TestResult], postgres_url: str
    ) -> None:
        with create_engine(postgres_url).begin() as connection:
            connection.execute(text("CREATE TABLE customers (email text)"))
        save("postgres", postgres_settings(postgres_url), password(postgres_url))
        result = ask("postgres")
        assert result.ok, result
        assert result.server_version[0].isdigit()
        assert result.warnings == ()

    def test_an_empty_database_is_ok_with_a_warning(
        self, save: Save, ask: Callable[[str], TestResult], postgres_url: str
    ) -> None:
        user = make_url(postgres_url).username
        save("postgres", postgres_settings(postgres_url), password(postgres_url))
        result = ask("postgres")
        assert result.ok
        assert f"login {user}" in str(result.warnings)

    @pytest.mark.parametrize(
        ("changed", "secret", "words"),
        [
            ({}, {"password": WRONG}, "password was refused"),
            ({"database": "no_such_db"}, None, "does not exist"),
            ({"user": "no_such_user"}, None, "password was refused"),
            ({"sslmode": "require"}, None, "TLS"),
            ({"port": "1"}, None, "listens"),
        ],
    )
    def test_broken_says_why(
        self,
        save: Save,
        ask: Callable[[str], TestResult],
        postgres_url: str,
        changed: dict[str, str],
        secret: dict[str, str] | None,
        words: str,
    ) -> None:
        settings = postgres_settings(postgres_url, **changed)
        save("postgres", settings, secret or password(postgres_url))
        result = ask("postgres")
        assert not result.ok
        assert words in result.cause
        assert result.advice


@pytest.fixture(params=["mariadb", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


class TestLedger:
    def prepare(self, url: str) -> None:
        metadata.create_all(create_engine(url), tables=[metadata.tables[LEDGER_NAME]])

    def test_works_and_tells_its_version(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        self.prepare(ledger_url)
        save("ledger", {"url": ledger_url})
        result = ask("ledger")
        assert result.ok, result
        assert result.server_version.startswith(("MariaDB 1", "MySQL ", "PostgreSQL 1"))

    def test_leaves_no_trace_in_the_table(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        self.prepare(ledger_url)
        insert = text(
            f"INSERT INTO {LEDGER_NAME} (backup_target_id, jobid, host, mounted, deleted)"
            " VALUES ('t', 1, 'h', false, false)"
        )
        with create_engine(ledger_url).begin() as connection:
            connection.execute(insert)
            before = connection.execute(text(f"SELECT * FROM {LEDGER_NAME}")).all()
        save("ledger", {"url": ledger_url})
        assert ask("ledger").ok
        with create_engine(ledger_url).begin() as connection:
            assert connection.execute(text(f"SELECT * FROM {LEDGER_NAME}")).all() == before
            connection.execute(insert)
            top = connection.execute(text(f"SELECT max(id) FROM {LEDGER_NAME}")).scalar()
        assert top == before[0].id + 1

    def test_another_database_lacks_the_table(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        with create_engine(ledger_url).begin() as connection:
            connection.execute(text("CREATE TABLE something_else (x int)"))
        save("ledger", {"url": ledger_url})
        result = ask("ledger")
        assert f"no table {LEDGER_NAME}" in result.cause

    def test_a_column_that_needs_a_value_is_named(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        self.prepare(ledger_url)
        with create_engine(ledger_url).begin() as connection:
            added = f"ALTER TABLE {LEDGER_NAME} ADD COLUMN tenant VARCHAR(20) NOT NULL"
            connection.execute(text(added))
        save("ledger", {"url": ledger_url})
        result = ask("ledger")
        assert (result.ok, "requires a value in tenant" in result.cause) == (False, True)
        assert "Let the column have a default" in result.advice

    def test_missing_columns_are_named(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        self.prepare(ledger_url)
        with create_engine(ledger_url).begin() as connection:
            connection.execute(text(f"ALTER TABLE {LEDGER_NAME} DROP COLUMN version"))
        save("ledger", {"url": ledger_url})
        assert "lacks version" in ask("ledger").cause

    def test_a_wrong_password_is_said(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        wrong = make_url(ledger_url).set(password=WRONG)
        save("ledger", {"url": wrong.render_as_string(hide_password=False)})
        assert "password was refused" in ask("ledger").cause

    def test_a_database_that_does_not_exist_is_said(
        self, save: Save, ask: Callable[[str], TestResult], ledger_url: str
    ) -> None:
        wrong = make_url(ledger_url).set(database="no_such_db")
        save("ledger", {"url": wrong.render_as_string(hide_password=False)})
        assert "does not exist" in ask("ledger").cause


def _wait_until_it_waits(engine: Engine, done: threading.Event) -> None:
    """Until the other session waits for the table, or has altered it."""
    waiting = text(
        "SELECT count(*) FROM information_schema.processlist "
        "WHERE db = DATABASE() AND state LIKE 'Waiting for table metadata lock%'"
    )
    with engine.connect() as connection:
        while not (done.wait(0.02) or connection.scalar(waiting)):
            connection.rollback()


class TestLedgerRights:
    def test_a_login_without_update_is_said(
        self,
        save: Save,
        ask: Callable[[str], TestResult],
        mariadb_server: MariaDBServer,
        mariadb_url: str,
    ) -> None:
        TestLedger().prepare(mariadb_url)
        parsed = make_url(mariadb_url)
        with mariadb_server.connect() as admin, admin.cursor() as cursor:
            cursor.execute("DROP USER IF EXISTS 'reader'@'%'")
            cursor.execute("CREATE USER 'reader'@'%' IDENTIFIED BY 'reader-pw'")
            cursor.execute(f"GRANT SELECT ON `{parsed.database}`.* TO 'reader'@'%'")
        reader = parsed.set(username="reader", password="reader-pw")
        save("ledger", {"url": reader.render_as_string(hide_password=False)})
        result = ask("ledger")
        assert f"no UPDATE right on table {LEDGER_NAME}" in result.cause
        assert "Grant SELECT, INSERT and UPDATE" in result.advice

    def test_a_table_that_somebody_alters_meanwhile_is_no_deadlock(
        self, save: Save, ask: Callable[[str], TestResult], mariadb_url: str
    ) -> None:
        TestLedger().prepare(mariadb_url)
        save("ledger", {"url": mariadb_url})
        engine, altered = create_engine(mariadb_url), threading.Event()

        def alter() -> None:
            with engine.begin() as connection:
                connection.execute(text(f"ALTER TABLE {LEDGER_NAME} COMMENT = 'meanwhile'"))
            altered.set()

        altering = threading.Thread(target=alter)

        def between(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement.startswith(f"UPDATE {LEDGER_NAME}"):
                altering.start()
                _wait_until_it_waits(engine, altered)

        event.listen(Engine, "before_cursor_execute", between)
        try:
            result = ask("ledger")
        finally:
            event.remove(Engine, "before_cursor_execute", between)
            altering.join()
            engine.dispose()
        assert result.ok, result

    def test_a_read_only_server_is_said(
        self,
        save: Save,
        ask: Callable[[str], TestResult],
        own_mariadb_server: MariaDBServer,
    ) -> None:
        url = own_mariadb_server.url(own_mariadb_server.create_database())
        TestLedger().prepare(url)
        parsed = make_url(url)
        with own_mariadb_server.connect() as admin, admin.cursor() as cursor:
            cursor.execute("DROP USER IF EXISTS 'writer'@'%'")
            cursor.execute("CREATE USER 'writer'@'%' IDENTIFIED BY 'writer-pw'")
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE ON `{parsed.database}`.* TO 'writer'@'%'")
            cursor.execute("SET GLOBAL read_only = 1")
        try:
            writer = parsed.set(username="writer", password="writer-pw")
            save("ledger", {"url": writer.render_as_string(hide_password=False)})
            assert "read-only" in ask("ledger").cause
        finally:
            with own_mariadb_server.connect() as admin, admin.cursor() as cursor:
                cursor.execute("SET GLOBAL read_only = 0")

    def test_a_read_only_postgres_is_said(
        self, save: Save, ask: Callable[[str], TestResult], postgres_url: str
    ) -> None:
        TestLedger().prepare(postgres_url)
        name = make_url(postgres_url).database
        with create_engine(postgres_url).begin() as admin:
            admin.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        save("ledger", {"url": postgres_url})
        assert "read-only" in ask("ledger").cause

    def test_a_read_only_file_is_said(
        self, save: Save, ask: Callable[[str], TestResult], database: Database, tmp_path: object
    ) -> None:
        with database.write() as session:  # only the sandbox's ledger may be a file
            session.execute(update(Environment).values(is_sandbox=True))
        path = f"{tmp_path}/ledger.db"
        TestLedger().prepare(f"sqlite:///{path}")
        save("ledger", {"url": f"sqlite:///file:{path}?mode=ro&uri=true"})
        assert "read-only" in ask("ledger").cause


class TestRabbitMQ:
    def test_works_and_tells_its_version(
        self, save: Save, ask: Callable[[str], TestResult], rabbitmq_url: str
    ) -> None:
        save("rabbitmq", {"url": rabbitmq_url})
        result = ask("rabbitmq")
        assert result.ok, result
        assert result.server_version.startswith("RabbitMQ ")

    def test_a_wrong_password_is_said(
        self, save: Save, ask: Callable[[str], TestResult], rabbitmq_url: str
    ) -> None:
        parts = urlsplit(rabbitmq_url)
        url = parts._replace(
            netloc=f"{parts.username}:{WRONG}@{parts.hostname}:{parts.port}"
        ).geturl()
        save("rabbitmq", {"url": url})
        assert "user name or password" in ask("rabbitmq").cause

    def test_a_virtual_host_that_does_not_exist_is_said(
        self, save: Save, ask: Callable[[str], TestResult], rabbitmq_server: RabbitMQServer
    ) -> None:
        url = rabbitmq_server.url("no-such-vhost")
        save("rabbitmq", {"url": url})
        assert "virtual host" in ask("rabbitmq").cause
