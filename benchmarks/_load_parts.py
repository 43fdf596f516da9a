"""The outside systems of the combined load: real servers where there are any, filled."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import _load_standins, _tokenization, mounts_ledger, user_sync_plan
from benchmarks._load_size import Size
from tests.fixtures import postgres
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.rabbitmq import RabbitMQServer

#: Hosts of the ledger that have a DMS server.
HOSTS = [f"compute-{number:03}" for number in range(8)]
#: The table that is tokenized alone, and the one under load.
TABLES = ("people_alone", "people_together")


@dataclass(frozen=True)
class Parts:
    """Everything outside the portal. ledger: the ledger's SQLAlchemy URL."""

    ledger: str
    broker: str
    database: PostgresServer
    database_name: str
    openmetadata: dict[str, str]
    directory: dict[str, str]
    standins: "subprocess.Popen[str]"
    addresses: dict[str, Any]

    def dataset(self, table: str) -> str:
        name = f"{self.database_name}.public.{table}"
        return f"urn:li:dataset:(urn:li:dataPlatform:postgres,{name},PROD)"

    def seen(self) -> dict[str, Any]:
        """What AWS started, the DMS servers were asked, and DataHub's datasets look like."""
        assert self.standins.stdin
        assert self.standins.stdout
        self.standins.stdin.write("\n")
        self.standins.stdin.flush()
        found: dict[str, Any] = json.loads(self.standins.stdout.readline())
        return found


@contextmanager
def started(size: Size) -> Iterator[Parts]:
    """All of them, for the length of the block.

    Servers are started by this thread: they die with the thread that started them.
    """
    with ExitStack() as stack:
        postgres._OPTIONS.update(_tokenization._DURABLE)
        ledger_server = stack.enter_context(closing(MariaDBServer.launch()))
        source = stack.enter_context(closing(PostgresServer.launch()))
        broker_server = stack.enter_context(closing(RabbitMQServer.launch()))
        count = str(size.users)
        openmetadata = stack.enter_context(
            user_sync_plan.server("backend.sandbox.openmetadata", "--users", count)
        )
        directory = stack.enter_context(
            user_sync_plan.server("backend.sandbox.directory", "--users", count)
        )
        ledger = ledger_server.url(ledger_server.create_database())
        broker, name = broker_server.url(broker_server.take_vhost()), source.create_database()
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(_fill_ledger, ledger, size.entries),
                pool.submit(_fill_tables, source, name, size.rows),
            ]
            for job in jobs:
                job.result()
        datasets = [
            f"urn:li:dataset:(urn:li:dataPlatform:postgres,{name}.public.{table},PROD)"
            for table in TABLES
        ]
        standins = stack.enter_context(_standins())
        wanted = {"broker": broker, "hosts": HOSTS, "datasets": datasets}
        addresses = _greet(standins, {**wanted, "to_ingest": size.datasets})
        yield Parts(ledger, broker, source, name, openmetadata, directory, standins, addresses)


def _fill_ledger(url: str, entries: int) -> None:
    with redirect_stdout(sys.stderr):
        mounts_ledger.fill(url, entries)


def _fill_tables(server: PostgresServer, database: str, rows: int) -> None:
    """Two columns of personal data; every tenth phone number is NULL."""
    with closing(server.connect(database)) as connection:
        cursor = connection.cursor()
        for table in TABLES:
            cursor.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, email text, phone text)")
            cursor.execute(
                f"INSERT INTO {table} SELECT n, 'person' || n || '@example.org', "
                "CASE WHEN n % 10 > 0 THEN '+49 170 ' || lpad(n::text, 8, '0') END "
                f"FROM generate_series(1, {rows}) AS n"
            )
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("CHECKPOINT")


@contextmanager
def _standins() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", _load_standins.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _greet(process: "subprocess.Popen[str]", wanted: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(wanted) + "\n")
    process.stdin.flush()
    addresses: dict[str, Any] = json.loads(process.stdout.readline())
    return addresses
