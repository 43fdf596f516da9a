"""What tokenization tests share: a real table, an environment of the portal, a DataHub stand-in."""

import base64
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from sqlalchemy.engine import make_url

from backend.connections import environments, resolve
from backend.connections import service as connections
from backend.connections.schemas import ConnectionConfig
from backend.core.access import Actor, Role
from backend.core.database import Database
from backend.jobs import runner
from backend.tokenization import service
from backend.tokenization.engines.base import RewriteResult
from backend.tokenization.schemas import ColumnChoice, RunView, TableName, Trigger
from backend.tokenization.tokens import Scheme, Tokenizer

KEY = bytes(range(32))
TOKENIZER = Tokenizer(Scheme.HMAC_SHA256, KEY)
BASE64 = Tokenizer(Scheme.BASE64)
SHORT = Tokenizer(Scheme.HMAC_SHA256_144, KEY)
SHORTEST = Tokenizer(Scheme.HMAC_SHA256_96, KEY)
#: Every scheme, with the name of its test.
SCHEMES = {"hmac": TOKENIZER, "hmac-144": SHORT, "hmac-96": SHORTEST, "base64": BASE64}
ADMIN = Actor(id=1, name="admin@example.org", role=Role.ADMIN, kind="user")
STEWARD = Actor(id=2, name="steward@example.org", role=Role.STEWARD, kind="user")


def exit_of(work: Callable[..., None], *arguments: Any) -> int | None:
    """How a process of its own ended that did this work: minus the signal that killed it."""
    context = multiprocessing.get_context("forkserver")  # what it has imported once is there
    context.set_forkserver_preload(["tests.backend.tokenization.test_killed"])
    process = context.Process(target=work, args=arguments)
    process.start()
    process.join(120)
    return process.exitcode


@dataclass
class Source:
    """A fresh database on a real server."""

    url: str

    def __post_init__(self) -> None:
        parsed = make_url(self.url)
        self.settings = {
            "host": str(parsed.host),
            "port": str(parsed.port),
            "database": str(parsed.database),
            "user": str(parsed.username),
            "sslmode": "prefer",
        }
        self.secrets = {"password": str(parsed.password)}
        self.database = str(parsed.database)

    @contextmanager
    def connection(self, **more: Any) -> Iterator["psycopg2.extensions.connection"]:
        """A plain connection, autocommit, as somebody else would use."""
        parsed = make_url(self.url)
        arguments = {
            "host": parsed.host,
            "port": parsed.port,
            "user": parsed.username,
            "password": parsed.password,
            "dbname": parsed.database,
        }
        connection = psycopg2.connect(**{**arguments, **more})
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def run(self, *statements: str) -> None:
        with self.connection() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, query: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def column(self, query: str, parameters: Sequence[Any] | None = None) -> list[Any]:
        return [row[0] for row in self.rows(query, parameters)]

    def wait_until_alone(self) -> None:
        """Until the server has noticed that a killed process is gone, and let go of its locks."""
        end = time.monotonic() + 60
        while self.column(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        ):
            assert time.monotonic() < end, "the session of a dead process is never over"
            time.sleep(0.05)

    def table(self, name: str, schema: str = "public") -> TableName:
        return TableName(self.database, schema, name)

    def urn(self, table: str) -> str:
        return f"urn:li:dataset:(urn:li:dataPlatform:postgres,{self.database}.public.{table},PROD)"


CUSTOMERS = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text, email text, phone varchar(60))
"""


def customers(source: Source, rows: int = 50) -> None:
    """A small table with personal data."""
    source.run(
        CUSTOMERS,
        "INSERT INTO customers SELECT n, 'Person ' || chr(64 + n % 26), "
        "'person' || n || '@example.org', '+49 170 ' || lpad(n::text, 7, '0') "
        f"FROM generate_series(1, {rows}) AS n",
    )


@dataclass
class Recorder:
    """A Control that remembers, and can act in between."""

    shares: list[float] = field(default_factory=list)
    transaction_id: str = ""
    result: RewriteResult | None = None
    on_progress: Any = None
    on_started: Any = None
    on_committing: Any = None

    def started(self, transaction_id: str) -> None:
        self.transaction_id = transaction_id
        if self.on_started:
            self.on_started()

    def progress(self, share: float, rows_scanned: int, rows_updated: int) -> None:
        self.shares.append(share)
        if self.on_progress:
            self.on_progress(share)

    def check_cancelled(self) -> None:
        """Nobody cancels unless a test says so."""

    def committing(self, result: RewriteResult) -> None:
        self.result = result
        if self.on_committing:
            self.on_committing()


def choices(*columns: str) -> list[ColumnChoice]:
    return [ColumnChoice(column, "chosen by name") for column in columns]


@dataclass
class World:
    """The portal with one environment whose postgres connection is `source`."""

    database: Database
    source: Source
    environment: str
    gms: Any = None

    def start(self, table: str, *columns: str, **more: Any) -> RunView:
        more = {"trigger": Trigger.API, "dataset": self.source.urn(table), **more}
        return service.start(self.database, STEWARD, columns=list(columns) or None, **more)

    def work(self, view: RunView) -> RunView:
        """Run the job here, as a worker would."""
        assert view.job_id is not None
        runner.run(view.job_id, self.database)
        return self.view(view.id)

    def view(self, run_id: int) -> RunView:
        with self.database.read() as session:
            return service.get(session, STEWARD, run_id=run_id)

    def datahub(self) -> ConnectionConfig:
        with self.database.read() as session:
            return resolve.connection(session, environment=self.environment, kind="datahub")

    def tags(self, table: str = "customers") -> set[str]:
        found = self.gms.aspect(self.source.urn(table), "globalTags") or {"tags": []}
        return {each["tag"].removeprefix("urn:li:tag:") for each in found["tags"]}


def make_world(
    database: Database, source: Source, gms: Any = None, *, name: str = "test", scheme: str = ""
) -> World:
    """The environment with its connections and a known key."""
    with database.write() as session:
        environments.add(session, ADMIN, name=name)
        connections.save(
            session,
            ADMIN,
            environment=name,
            kind="postgres",
            settings=source.settings,
            secrets_in=source.secrets,
        )
        connections.save(
            session,
            ADMIN,
            environment=name,
            kind="tokenization",
            settings={"scheme": scheme or "hmac-sha256"},
            secrets_in={"key": base64.b64encode(KEY).decode()},
        )
        if gms is not None:
            connections.save(
                session,
                ADMIN,
                environment=name,
                kind="datahub",
                settings={"server": gms.url, "frontend_url": "", "timeout": "60"},
                secrets_in={"token": gms.token},
            )
    return World(database, source, name, gms)


def seed_dataset(
    gms: Any,
    source: Source,
    *,
    run_tag: bool = True,
    field_tags: dict[str, list[str]] | None = None,
    table: str = "customers",
    description: str | None = None,
) -> None:
    """The customers dataset as an ingestion would leave it."""
    gms.seed_dataset(
        source.urn(table),
        fields={"id": "bigint", "name": "text", "email": "text", "phone": "varchar(60)"},
        tags=["urn:li:tag:tokenize/run"] if run_tag else [],
        field_tags={"email": ["urn:li:tag:pii"], "phone": ["urn:li:tag:pii"]}
        if field_tags is None
        else field_tags,
        description=description,
    )
