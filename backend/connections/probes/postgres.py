"""A source PostgreSQL: its version, primary or replica, and the rights a tokenization needs."""

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """A server that cannot be written to fails; a login without a table yet is only warned of."""
    from backend.integrations.postgres.probe import probe as probe_server

    found = probe_server(config.settings, config.secrets, timeout=deadline * 0.9)
    if found.cause and not found.blocks:
        warning = f"{found.cause} {found.advice}"
        return Finding(server_version=found.server_version, warnings=(warning,))
    return Finding(not found.cause, found.server_version, found.cause, found.advice)
