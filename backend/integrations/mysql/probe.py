"""An honest connection test: can this user read the server, and make a temporary table?"""

from collections.abc import Mapping
from dataclasses import dataclass

import pymysql

from backend.integrations.mysql.connection import connect, is_mariadb
from backend.integrations.mysql.errors import number_of


@dataclass(frozen=True)
class Probe:
    """What a probe found. `cause` and `advice` are "" when nothing is missing."""

    server_version: str
    cause: str = ""
    advice: str = ""


def probe(
    settings: Mapping[str, str], secrets: Mapping[str, str], *, timeout: float = 10.0
) -> Probe:
    """Ask the server for its version and for what a tokenization needs of it.

    Raises UpstreamError and its kinds when the server cannot be asked.
    """
    with (
        connect(
            settings, secrets, connect_timeout=timeout / 2, statement_timeout=timeout / 2
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT VERSION(), @@global.read_only")
        version, read_only = cursor.fetchone() or ("", 0)
        name = f"{'MariaDB' if is_mariadb(str(version)) else 'MySQL'} {version}"
        if str(read_only).upper() not in ("0", "OFF"):
            return Probe(
                name,
                "this server is read-only (a replica), so nothing can be tokenized on it.",
                "Point the connection at the primary server.",
            )
        try:
            cursor.execute(
                "CREATE TEMPORARY TABLE portal_right (made INT PRIMARY KEY) ENGINE = MEMORY"
            )
        except pymysql.err.Error as exc:
            if number_of(exc) != 1044:
                raise
            return Probe(
                name,
                "this user may not make temporary tables in the database.",
                "Grant CREATE TEMPORARY TABLES on it.",
            )
    return Probe(name)
