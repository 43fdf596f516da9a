"""An honest connection test: can this login read the server, make a temporary table, update?"""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.integrations.postgres.connection import connect

_RIGHTS = """
SELECT current_setting('server_version'),
       pg_is_in_recovery(),
       has_database_privilege(current_database(), 'TEMP'),
       current_user::text,
       EXISTS (
           SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p')
              AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
              AND has_schema_privilege(n.oid, 'USAGE')
              AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE'))
"""


@dataclass(frozen=True)
class Probe:
    """What a probe found. `cause` and `advice` are "" when nothing is missing.

    blocks: nothing can be tokenized before it is mended; else it is worth a warning.
    """

    server_version: str
    cause: str = ""
    advice: str = ""
    blocks: bool = True


def probe(
    settings: Mapping[str, str], secrets: Mapping[str, str], *, timeout: float = 10.0
) -> Probe:
    """Ask the server for its version and for the rights that a tokenization needs.

    Raises UpstreamError and its kinds when the server cannot be asked.
    """
    with (
        connect(
            settings,
            secrets,
            application="steward-portal test",
            connect_timeout=timeout / 2,
            statement_timeout=timeout / 2,
            readonly=True,  # all that a replica takes, which is to be told as one
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(_RIGHTS)
        version, replica, temp, user, updates = cursor.fetchone() or ("", False, True, "", True)
    if replica:
        return Probe(
            version,
            "this server is a read replica, so nothing can be tokenized on it.",
            "Point the connection at the primary server.",
        )
    if not temp:
        return Probe(
            version,
            f"the login {user} may not make temporary tables in this database.",
            "A database owner can run GRANT TEMP ON DATABASE for it.",
        )
    if not updates:
        return Probe(
            version,
            f"the login {user} has SELECT and UPDATE on no table of this database.",
            "Grant both on the tables that are to be tokenized.",
            blocks=False,
        )
    return Probe(version)
