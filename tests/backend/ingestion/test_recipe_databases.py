"""Recipes of databases in the environments that uv makes for them, from a real package index.

The tables of a real PostgreSQL and a real MariaDB arrive at the DataHub stand-in.
"""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.connections import service
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import recipe_packages, recipes
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.sandbox.datahub import StandIn
from tests.backend.connections.bad_server import BadServer
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.processes import missing

pytestmark = pytest.mark.slow
MYSQL = """
source:
  type: mysql
  config:
    host_port: ${MYSQL_HOST_PORT}
    database: ${MYSQL_DATABASE}
    username: ${MYSQL_USERNAME}
    password: ${MYSQL_PASSWORD}
    table_pattern: {allow: ['.*customers$']}
"""


@pytest.fixture(scope="module")
def made_environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a recipe's packages were installed into, for each test with the same packages."""
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture(autouse=True)
def _an_index(
    real_environments: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    data_dir: Path,
    made_environments: Path,
) -> None:
    """Jobs are run by the tests themselves; the packages come from the person's index."""
    monkeypatch.setattr(broker, "send", lambda *_: None)
    (data_dir / "recipes").symlink_to(made_environments)
    wanted = tmp_path / "wanted.in"
    wanted.write_text("iniconfig\n")
    asked = subprocess.run(
        [str(recipe_packages.UV), "pip", "compile", "-q", "--no-cache", str(wanted)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        missing("A package index", asked.stderr[-300:])


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create_database()
    with contextlib.closing(postgres_server.connect(name)) as connection:
        connection.cursor().execute(
            "CREATE TABLE customers (id int PRIMARY KEY, email text);"
            "COMMENT ON TABLE customers IS 'Who buys'"
        )
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def mariadb_database(mariadb_server: MariaDBServer) -> Iterator[str]:
    name = mariadb_server.create_database()
    with contextlib.closing(mariadb_server.connect(name)) as connection:
        connection.cursor().execute(
            "CREATE TABLE customers (id int PRIMARY KEY, email text) COMMENT 'Who buys'"
        )
    yield name
    mariadb_server.drop_database(name)


def _connect(database: Database, settings: dict[str, str], password: str) -> None:
    with database.write() as session:
        service.save(
            session,
            SYSTEM,
            environment="dev",
            kind="postgres",
            settings=settings,
            secrets_in={"password": password},
        )


def _seen(database: Database, job_id: int) -> tuple[str, str]:
    """State and log of a job."""
    with database.read() as session:
        lines = jobs.lines(session, SYSTEM, job_id=job_id)
        state = jobs.get(session, SYSTEM, job_id=job_id).state
    return state, "\n".join(line.line for line in lines)


def _columns(datahub: StandIn, urn: str) -> list[str]:
    fields = (datahub.aspect(urn, "schemaMetadata") or {"fields": []})["fields"]
    return [field["fieldPath"].rpartition(".")[2] for field in fields]


def test_postgres(
    database: Database,
    datahub: StandIn,
    actors: SimpleNamespace,
    postgres_server: PostgresServer,
    postgres_database: str,
) -> None:
    """The recipe that ships, filled by the connections."""
    at = {"host": "127.0.0.1", "port": str(postgres_server.port), "user": postgres_server.user}
    _connect(database, at | {"database": postgres_database}, postgres_server.password)
    with database.write() as session:
        job_id = recipes.run_recipe(
            session, actors.operator, name="postgres.yml",
            values={"TABLE_PATTERN": r"^.*\.public\.customers$"},
        )  # fmt: skip
    runner.run(job_id, database)
    state, log = _seen(database, job_id)
    assert state == "succeeded", log
    name = f"{postgres_database}.public.customers"
    urn = f"urn:li:dataset:(urn:li:dataPlatform:postgres,{name},PROD)"
    assert _columns(datahub, urn) == ["id", "email"], log
    assert (datahub.aspect(urn, "datasetProperties") or {})["description"] == "Who buys"
    tags = (datahub.aspect(urn, "globalTags") or {"tags": []})["tags"]
    assert [each["tag"] for each in tags] == ["urn:li:tag:tokenize/run"]
    assert postgres_server.password not in log
    assert datahub.token not in log


def test_mysql(
    database: Database,
    datahub: StandIn,
    actors: SimpleNamespace,
    mariadb_server: MariaDBServer,
    mariadb_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An own recipe without a sink, its values typed: the password as a secret."""
    (tmp_path / "mysql.yml").write_text(MYSQL)
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    with database.write() as session:
        job_id = recipes.run_recipe(
            session,
            actors.operator,
            name="mysql.yml",
            values={
                "MYSQL_HOST_PORT": f"127.0.0.1:{mariadb_server.port}",
                "MYSQL_DATABASE": mariadb_database,
                "MYSQL_USERNAME": mariadb_server.user,
                "MYSQL_PASSWORD": mariadb_server.password,
            },
        )
    runner.run(job_id, database)
    state, log = _seen(database, job_id)
    assert state == "succeeded", log
    urn = f"urn:li:dataset:(urn:li:dataPlatform:mysql,{mariadb_database}.customers,PROD)"
    assert _columns(datahub, urn) == ["id", "email"], log
    assert (datahub.aspect(urn, "datasetProperties") or {})["description"] == "Who buys"
    assert mariadb_server.password not in log


def test_cancelled_while_it_runs(
    database: Database, datahub: StandIn, actors: SimpleNamespace
) -> None:
    """The command waits for a server that never answers, and ends with its job."""
    reached, over = threading.Event(), threading.Event()

    def behave(connection: socket.socket, _ended: threading.Event) -> None:
        reached.set()
        with contextlib.suppress(OSError):
            while connection.recv(100):  # until the command is gone
                pass
        over.set()

    with BadServer() as server:
        server.behave = behave
        at = {"host": "127.0.0.1", "port": str(server.port), "user": "u", "database": "d"}
        _connect(database, at, "right-Passw0rd")
        with database.write() as session:
            job_id = recipes.run_recipe(session, actors.operator, name="postgres.yml")
        worker = threading.Thread(target=runner.run, args=(job_id, database))
        worker.start()
        while worker.is_alive() and not reached.wait(timeout=1):  # it may be installed first
            pass
        assert reached.is_set(), _seen(database, job_id)
        with database.write() as session:
            jobs.cancel(session, SYSTEM, job_id=job_id)
        worker.join(timeout=60)
        assert over.wait(timeout=60)
    state, log = _seen(database, job_id)
    assert state == "cancelled", log
