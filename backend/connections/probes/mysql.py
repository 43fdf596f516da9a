"""A source MySQL or MariaDB: its version, primary or replica, and temporary tables."""

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """A server that cannot be written to, or keep the key, fails."""
    from backend.integrations.mysql.probe import probe as probe_server

    found = probe_server(config.settings, config.secrets, timeout=deadline * 0.6)
    return Finding(not found.cause, found.server_version, found.cause, found.advice)
