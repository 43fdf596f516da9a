"""The directory: the real query, cut short."""

import importlib

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def load() -> None:
    """Import gql before the clock starts."""
    importlib.import_module("backend.integrations.directory.client")


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    from backend.integrations.directory.client import DirectoryClient

    client = DirectoryClient(
        config.settings["endpoint"], config.secrets.get("token", ""), timeout=deadline * 0.9
    )
    found = client.probe()
    seen = (
        "more users than a test reads" if found.users_seen is None else f"{found.users_seen} users"
    )
    return Finding(server_version=f"GraphQL, {seen}")
