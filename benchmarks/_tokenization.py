"""What the tokenization benchmarks share: a server, a table of fake people, a measured run."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from backend.integrations.postgres.connection import connect
from backend.tokenization.engines.base import RewriteResult
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.schemas import ColumnChoice, TableName
from backend.tokenization.tokens import Scheme, Tokenizer
from tests.fixtures import postgres
from tests.fixtures.postgres import PostgresServer

COLUMNS = [ColumnChoice("email", ""), ColumnChoice("phone", "")]
TOKENIZER = Tokenizer(Scheme.HMAC_SHA256, bytes(range(32)))


@dataclass
class Quiet:
    """A run nobody watches; counts how often it would have been told something."""

    told: int = 0

    def started(self, transaction_id: str) -> None:
        """Nobody is told."""

    def progress(self, *_: float) -> None:
        self.told += 1

    def check_cancelled(self) -> None:
        """Nobody cancels."""

    def committing(self, result: RewriteResult) -> None:
        """Nobody is told."""


@dataclass
class Bench:
    """A private server with one database."""

    server: PostgresServer
    database: str
    tables: int = field(default=0)

    def fresh(self, rows: int) -> TableName:
        """A new table of fake people, vacuumed and checkpointed: every side starts alike."""
        self.tables += 1
        name = f"people{self.tables}"
        self.run(
            f"CREATE TABLE {name} (id bigint PRIMARY KEY, name text, email text, phone text)",
            f"INSERT INTO {name} SELECT n, 'Person ' || n, 'person' || n || '@example.org', "
            f"'+49 170 ' || lpad(n::text, 8, '0') FROM generate_series(1, {rows}) AS n",
            f"VACUUM ANALYZE {name}",
            "CHECKPOINT",
        )
        return TableName(self.database, "public", name)

    def drop(self, table: TableName) -> None:
        self.run(f"DROP TABLE {table.table}", "CHECKPOINT")

    def run(self, *statements: str) -> float:
        """Seconds that the statements took."""
        with closing(self.server.connect(self.database)) as connection:
            cursor = connection.cursor()
            begun = time.perf_counter()
            for statement in statements:
                cursor.execute(statement)
            return time.perf_counter() - begun

    def tokenize(
        self,
        table: TableName,
        control: rewrite.Control | None = None,
        *,
        write: Callable[..., RewriteResult] = rewrite.rewrite,
    ) -> float:
        """Seconds that a run over two columns took, its connection included."""
        settings = {
            "host": self.server.host,
            "port": str(self.server.port),
            "database": self.database,
            "user": self.server.user,
        }
        begun = time.perf_counter()
        with connect(
            settings, {"password": self.server.password}, statement_timeout=3600
        ) as connection:
            result = write(connection, table, COLUMNS, TOKENIZER, control or Quiet())
        seconds = time.perf_counter() - begun
        assert result.rows_updated == result.rows_scanned
        return seconds


#: As a server for real data is set up; the tests' server gives durability away for speed.
_DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",  # must not run into one side and not the other
}


@contextmanager
def bench() -> Iterator[Bench]:
    """A private server with production's durability; stopped and removed afterwards."""
    postgres._OPTIONS.update(_DURABLE)
    server = PostgresServer.launch()
    try:
        yield Bench(server, server.create_database())
    finally:
        server.close()


def peak_megabytes() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
