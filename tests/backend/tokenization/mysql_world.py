"""What the MySQL engine's tests share: a fresh database on a real server, and its engine."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pymysql
import pytest
from sqlalchemy.engine import make_url

from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.core import clock
from backend.integrations.mysql.connection import is_mariadb
from backend.tokenization.engines.mysql.engine import MySqlEngine
from backend.tokenization.schemas import TableName


@dataclass
class MySource:
    """A fresh database on a real server."""

    url: str

    def __post_init__(self) -> None:
        parsed = make_url(self.url)
        self.settings = {
            "host": str(parsed.host),
            "port": str(parsed.port),
            "database": str(parsed.database),
            "user": str(parsed.username),
            "ssl": "prefer",
        }
        self.secrets = {"password": str(parsed.password or "")}
        self.database = str(parsed.database)

    @contextlib.contextmanager
    def connection(self, **more: Any) -> Iterator["pymysql.connections.Connection[Any]"]:
        """A plain connection, autocommit, as somebody else would use."""
        arguments = {
            "host": self.settings["host"],
            "port": int(self.settings["port"]),
            "user": self.settings["user"],
            "password": self.secrets["password"],
            "database": self.database,
            "charset": "utf8mb4",
            "autocommit": True,
        }
        with contextlib.closing(pymysql.connect(**{**arguments, **more})) as connection:
            yield connection

    def run(self, *statements: str) -> None:
        with self.connection() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def next_second(self) -> None:
        """The server keeps whole seconds of a table's age."""
        now = "SELECT UNIX_TIMESTAMP()"
        first = self.column(now)[0]
        while self.column(now)[0] == first:
            time.sleep(0.05)

    def needs(self, product: str) -> None:
        """Skip what only MariaDB or only MySQL has; TEST_MARIADB_URL may name either."""
        version = str(self.column("SELECT VERSION()")[0])
        if is_mariadb(version) != (product == "MariaDB"):
            pytest.skip(f"only {product} has such a thing, and this is {version}")

    def rows(
        self, query: str, parameters: Sequence[Any] | None = None
    ) -> tuple[tuple[Any, ...], ...]:
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return tuple(cursor.fetchall())

    def column(self, query: str) -> list[Any]:
        return [row[0] for row in self.rows(query)]

    def table(self, name: str) -> TableName:
        return TableName(self.database, "", name)

    def urn(self, table: str, platform: str = "mysql") -> str:
        return f"urn:li:dataset:(urn:li:dataPlatform:{platform},{self.database}.{table},PROD)"

    def engine(self, table: str, **more: Any) -> MySqlEngine:
        config = ConnectionConfig(
            environment=EnvironmentView(
                1, "test", True, False, False, version=1, updated_at=clock.now(), updated_by=""
            ),
            kind="mysql",
            settings={**self.settings, **more},
            secrets=self.secrets,
            version=1,
        )
        return MySqlEngine(config, self.table(table), lock_timeout=1.0)
