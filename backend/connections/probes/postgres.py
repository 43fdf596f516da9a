"""A source PostgreSQL: SELECT 1, rights, primary or replica."""

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """A missing right fails the test: with it no tokenization can run."""
    from backend.integrations.postgres.probe import probe as probe_server

    found = probe_server(config.settings, config.secrets, timeout=deadline * 0.9)
    return Finding(not found.cause, found.server_version, found.cause, found.advice)
