"""A source PostgreSQL: SELECT 1, rights, primary or replica, read-only or not."""

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    """A server that cannot be written to fails; a login without a table yet is only warned of."""
    from backend.integrations.postgres.connection import connect
    from backend.integrations.postgres.probe import probe as probe_server

    found = probe_server(config.settings, config.secrets, timeout=deadline * 0.9)
    if found.cause and "on no table" in found.cause:
        return Finding(
            server_version=found.server_version, warnings=(f"{found.cause} {found.advice}",)
        )
    if found.cause:
        return Finding(False, found.server_version, found.cause, found.advice)
    with (
        connect(config.settings, config.secrets, connect_timeout=deadline / 4) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        row = cursor.fetchone()
    if row and row[0]:
        return Finding(
            False,
            found.server_version,
            "this database is read-only for the login (default_transaction_read_only)",
            "Switch it off for the login or database, or use another login.",
        )
    return Finding(server_version=found.server_version)
