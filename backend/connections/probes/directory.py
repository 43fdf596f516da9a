"""The directory: the real question, cut short."""

import importlib

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def load() -> None:
    """Import GraphQL and JMESPath before the clock starts."""
    importlib.import_module("backend.integrations.directory.client")


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    from backend.integrations.directory.client import DirectoryClient

    if config.settings.get("source") == "upload":
        return Finding(server_version="Uploaded file, read when a plan is made")
    client = DirectoryClient.of(config.settings, config.secrets, timeout=deadline * 0.9)
    found = client.probe()
    name = {"scim": "SCIM 2.0"}.get(config.settings.get("source", ""), "GraphQL")
    if found.users_seen is None:
        return Finding(server_version=f"{name}, more users than a test reads")
    more = " on the first page" if found.more else ""
    return Finding(server_version=f"{name}, {found.users_seen} users{more}")
