"""Engines compute the tokens where the table is: PostgreSQL and Databricks."""

from backend.tokenization.engines.base import Engine
from backend.tokenization.engines.databricks.engine import DatabricksEngine
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.tokenization.sources import Source

__all__ = ["Engine", "engine_for"]


def engine_for(source: Source) -> Engine:
    """The engine of a source that has a connection (`source.runnable`)."""
    if source.databricks is not None:
        return DatabricksEngine(source.databricks, source.table)
    if source.postgres is not None:
        return PostgresEngine(source.postgres, source.table)
    raise LookupError(f"{source.table} has no connection")
