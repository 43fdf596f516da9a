"""Databricks: SELECT 1 on the warehouse."""

import importlib

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def load() -> None:
    """Import the connector before the clock starts; it takes seconds."""
    importlib.import_module("databricks.sql.client")


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    from backend.integrations.databricks.probe import probe as probe_warehouse

    found = probe_warehouse(config.settings, config.secrets, timeout=deadline * 0.9)
    return Finding(not found.cause, found.server_version, found.cause, found.advice)
