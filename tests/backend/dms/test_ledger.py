"""The ledger is the same on MariaDB, PostgreSQL and SQLite, and is never altered."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from backend.dms import ddl, schema
from backend.dms.client import DatabaseException, DMSClient, RabbitMQException
from backend.dms.ledger import Ledger
from tests.fixtures.dms_responder import mount_request

DATA = Path(__file__).parents[3] / "data"
FILES = {
    "mariadb": "ledger_schema.sql",
    "postgresql": "ledger_schema.postgresql.sql",
    "sqlite": "ledger_schema.sqlite.sql",
}


@pytest.fixture(params=sorted(FILES))
def prepared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database into which an administrator loaded the schema file."""
    fixtures = {"mariadb": "mariadb_url", "postgresql": "postgres_url"}
    if request.param in fixtures:
        url = str(request.getfixturevalue(fixtures[request.param]))
    else:
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    _load(url, (DATA / FILES[request.param]).read_text())
    return url


def _load(url: str, script: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
    engine.dispose()


def _describe(url: str) -> Any:
    engine = create_engine(url)
    found = inspect(engine)
    columns = [(c["name"], c["nullable"]) for c in found.get_columns(schema.LEDGER_NAME)]
    indexes = sorted(
        (str(i["name"]), tuple(i["column_names"])) for i in found.get_indexes(schema.LEDGER_NAME)
    )
    engine.dispose()
    return columns, indexes


@pytest.fixture
def client(prepared_url: str, start_responder: Callable[..., Any]) -> Iterator[DMSClient]:
    broker = f"memory://{prepared_url[-12:].replace('/', '-')}"
    start_responder(broker)
    with DMSClient(prepared_url, broker, 60) as made:
        yield made


class TestOnEveryDatabase:
    def test_a_round_trip_and_its_history(self, client: DMSClient):
        assert client.get_mount_status(1, "target-1") is None
        client.mount(mount_request(jobid=1))
        client.mount(mount_request(jobid=2))
        client.unmount(mount_request(jobid=1))
        status = client.get_mount_status(1, "target-1")
        assert status is not None
        assert status.mounted is False
        assert status.deleted is False
        assert status.deleted_at is None, "an insert must not look deleted"
        assert status.created_at is not None
        assert [e.jobid for e in client.get_active_mounts(host="compute-01")] == [2]
        assert client.get_active_mounts(host="elsewhere") == []
        assert [e.jobid for e in client.get_ledger_history("target-1", limit=1)] == [2]

    def test_a_mounted_entry_cannot_be_soft_deleted(self, client: DMSClient):
        client.mount(mount_request())
        assert client.soft_delete_entry(1, "target-1") is False
        client.unmount(mount_request())
        assert client.soft_delete_entry(1, "target-1") is True
        assert client.get_mount_status(1, "target-1") is None
        [entry] = client.get_ledger_history("target-1")
        assert entry.deleted
        assert entry.deleted_at is not None
        assert client.soft_delete_entry(1, "target-1") is False, "there is none left"

    def test_the_ledger_table_is_never_altered(
        self, prepared_url: str, start_responder: Callable[..., Any]
    ):
        before = _describe(prepared_url)
        start_responder("memory://unaltered")
        with DMSClient(prepared_url, "memory://unaltered", 60) as client:
            client.mount(mount_request())
            client.unmount(mount_request())
            client.soft_delete_entry(1, "target-1")
        assert _describe(prepared_url) == before

    def test_the_columns_and_indexes_are_the_guides(self, prepared_url: str):
        columns, indexes = _describe(prepared_url)
        assert [name for name, _ in columns] == [c.name for c in schema.ledger.columns]
        assert [name for name, _ in indexes] == sorted(str(i.name) for i in schema.ledger.indexes)

    def test_an_expired_lease_frees_the_pair_and_leaves_an_unknown(self, client: DMSClient):
        from backend.dms.requests import parse

        client.ledger.ensure_operations()
        client.operations.records.lease = 0.3
        dead = client.operations.claim(
            parse(mount_request(jobid=5), "mount"), reply_queue="gone", actor=None
        )
        response = client.mount(mount_request(jobid=6))
        assert response["outcome"] == "replied"
        assert client.operations.get(dead.operation_id).state == "settled"

    def test_a_deleted_but_mounted_row_still_counts(self, client: DMSClient):
        """Other tools soft-delete mounted rows; unmounting under them would cut a running job."""
        client.mount(mount_request(jobid=1))
        client.mount(mount_request(jobid=2))
        client.ledger.write(
            lambda c: c.execute(
                schema.ledger.update().where(schema.ledger.c.jobid == 2).values(deleted=True)
            )
        )
        assert client.unmount(mount_request(jobid=1))["outcome"] == "shared"


class TestConnecting:
    def test_an_empty_database_gets_the_table_and_is_told_of(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        url = f"sqlite:///{tmp_path / 'new.sqlite'}"
        caplog.set_level("WARNING", "backend.dms")  # what a script without any set-up shows
        with DMSClient(url) as client:
            assert client.get_active_mounts() == []
        assert caplog.messages == [f"{url} was empty; a new, empty ledger is there now."]
        caplog.clear()
        with DMSClient(url):
            assert caplog.messages == []

    def test_a_path_with_a_slip_makes_no_ledger(self, tmp_path: Path):
        folder = tmp_path / "legder"
        with pytest.raises(DatabaseException, match=f"There is no folder {folder}"):
            DMSClient(f"sqlite:///{folder / 'ledger.sqlite'}")
        assert not folder.exists()

    def test_an_empty_mariadb_gets_the_guides_table(self, mariadb_url: str):
        Ledger(mariadb_url).close()
        _, indexes = _describe(mariadb_url)
        assert [name for name, _ in indexes] == sorted(str(i.name) for i in schema.ledger.indexes)

    def test_a_foreign_database_is_refused(self, tmp_path: Path):
        url = f"sqlite:///{tmp_path / 'foreign.sqlite'}"
        _load(url, "CREATE TABLE customers (id INTEGER)")
        with pytest.raises(DatabaseException, match=r"ledger_schema\.sql"):
            DMSClient(url)

    def test_missing_columns_are_named(self, tmp_path: Path):
        url = f"sqlite:///{tmp_path / 'old.sqlite'}"
        _load(url, f"CREATE TABLE {schema.LEDGER_NAME} (id INTEGER, host TEXT)")
        with pytest.raises(DatabaseException, match="lacks the columns created_at"):
            DMSClient(url)

    def test_an_absent_server_is_a_database_exception(self):
        with pytest.raises(DatabaseException, match=r"127\.0\.0\.1") as caught:
            DMSClient("mysql+pymysql://user:hidden@127.0.0.1:1/ledger")
        assert "hidden" not in str(caught.value)

    def test_a_wrong_password_is_said(self, mariadb_url: str):
        wrong = mariadb_url.replace("://portal:", "://nobody:")
        with pytest.raises(DatabaseException, match="password was refused"):
            DMSClient(wrong)

    @pytest.mark.parametrize("url", ["nonsense", "nosuch://x", "mysql+nosuch://h/d"])
    def test_an_unreadable_address_is_said(self, url: str):
        with pytest.raises(DatabaseException, match="address cannot be read"):
            DMSClient(url)

    def test_an_absent_broker_is_a_rabbitmq_exception(self, tmp_path: Path):
        with pytest.raises(RabbitMQException, match=r"nothing listens at amqp://127\.0\.0\.1:1"):
            DMSClient(f"sqlite:///{tmp_path / 'l.db'}", "amqp://u:hidden@127.0.0.1:1/")

    def test_a_broker_that_is_no_broker_is_said(self, tmp_path: Path):
        with pytest.raises(RabbitMQException, match="must start with amqp"):
            DMSClient(f"sqlite:///{tmp_path / 'l.db'}", "http://127.0.0.1")

    def test_without_the_right_to_create_the_way_out_is_said(
        self, mariadb_server: Any, mariadb_url: str
    ):
        _load(mariadb_url, (DATA / "ledger_schema.sql").read_text())
        name = mariadb_url.rsplit("/", 1)[1].split("?")[0]
        user = f"u{name[-10:]}"
        _load(
            mariadb_url,
            f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pw-of-test';\n"
            f"GRANT SELECT, INSERT, UPDATE ON `{name}`.* TO '{user}'@'%';\n",
        )
        url = mariadb_url.replace(
            f"{mariadb_server.user}:{mariadb_server.password}", f"{user}:pw-of-test"
        )
        with DMSClient(url, "memory://no-create", 60) as client:
            assert client.get_active_mounts() == []
            with pytest.raises(DatabaseException, match=r"ddl mysql dms_operation"):
                client.mount(mount_request())
        _load(mariadb_url, (DATA / "dms_operation.mysql.sql").read_text())
        with DMSClient(url, "memory://no-create?hosts=compute-01", 60) as client:
            assert client.mount(mount_request())["status"] == "success"


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_the_schema_files_are_what_sqlalchemy_makes(dialect: str):
    file = DATA / f"ledger_schema.{dialect}.sql"
    assert file.read_text() == ddl.script(schema.ledger, dialect)


@pytest.mark.parametrize("dialect", sorted(ddl.DIALECTS))
def test_the_operation_files_are_what_sqlalchemy_makes(dialect: str):
    file = DATA / f"dms_operation.{dialect}.sql"
    assert file.read_text() == ddl.script(schema.operation, dialect)


def test_a_server_that_says_nothing_is_a_timeout_and_not_an_absence():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql+pymysql://u@127.0.0.1:{silent.getsockname()[1]}/d?read_timeout=1"
        with pytest.raises(DatabaseException, match="did not answer in time") as caught:
            Ledger(url)
    assert caught.value.timed_out
