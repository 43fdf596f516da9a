"""Engines compute the tokens where the table is. A new one is a folder here and a line below."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from backend.connections.schemas import ConnectionConfig
from backend.tokenization.engines.base import MOST_TABLES, Engine
from backend.tokenization.engines.databricks.engine import DatabricksEngine
from backend.tokenization.engines.mysql.engine import MySqlEngine
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.tokenization.schemas import Method, TableName
from backend.tokenization.sources import DATABRICKS, MYSQL, POSTGRES, Source

__all__ = ["MOST_TABLES", "Engine", "engine_for", "left_behind", "list_tables", "methods"]

#: By kind of connection. Each takes that connection and a table, and says what it cannot erase.
_ENGINES: Mapping[str, Callable[[Any, TableName], Engine]] = {
    DATABRICKS: DatabricksEngine,
    MYSQL: MySqlEngine,
    POSTGRES: PostgresEngine,
}


def engine_for(source: Source) -> Engine:
    """The engine of a source that has a connection (`source.runnable`)."""
    if source.connection is None:
        raise LookupError(f"{source.table} has no connection")
    return _ENGINES[source.engine](source.connection, source.table)


def list_tables(
    kind: str, config: ConnectionConfig, database: str
) -> list[tuple[TableName, int | None]]:
    """The tables of a database with the server's estimate of their rows, at most MOST_TABLES.

    Nothing for kinds whose tables cannot be listed. Raises the adapter's errors.
    """
    listed = getattr(_ENGINES.get(kind), "list_tables", None)
    there = replace(config, settings={**config.settings, "database": database})
    return listed(there) if listed else []


def methods(engine: str) -> tuple[Method, ...]:
    """The ways of writing that a kind of source has."""
    return getattr(_ENGINES.get(engine), "METHODS", (Method.IN_PLACE,))


def left_behind(engine: str) -> tuple[str, ...]:
    """Where plain values live on after a run that succeeded, in sentences."""
    return getattr(_ENGINES.get(engine), "LEFT_BEHIND", ())
