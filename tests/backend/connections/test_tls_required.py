"""Servers that take encrypted connections only: the advice leads to TLS, and following it helps.

Real ones: MariaDB's require_secure_transport (which answers with the number of a wrong password),
an account's REQUIRE SSL, PostgreSQL whose pg_hba.conf has hostssl lines only.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from backend.core.errors import CredentialsRefused
from backend.integrations.mysql import errors as mysql_errors
from backend.integrations.network import Place
from tests.backend.connections.test_trust import (
    AUTHORITY,
    HOST,
    TestOnce,
    mariadb_server,
    once,
    postgres_server,
    speak_tls_mariadb,
    speak_tls_postgres,
)
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer

__all__ = ["mariadb_server", "once", "postgres_server"]
PASSWORD = "right-Passw0rd"
LET_IN = "hostssl all all all scram-sha-256\n"


def follow(
    once: TestOnce,
    kind: str,
    settings: Callable[[str], dict[str, str]],
    *,
    without: str,
    wanted: str,
    advised: str,
) -> None:
    """What `without` TLS is refused with names `advised`, and `wanted` works."""
    refused = once(kind, settings(without), {"password": PASSWORD}, ca=AUTHORITY.pem)
    assert not refused.ok
    assert "TLS" in refused.cause, refused
    assert advised in refused.advice, refused
    assert PASSWORD not in f"{refused.cause} {refused.advice}"
    # Whoever has to prove itself changed, so the password is asked for again.
    followed = once(kind, settings(wanted), {"password": PASSWORD}, ca=AUTHORITY.pem)
    assert (followed.ok, followed.cause) == (True, "")


@pytest.mark.slow
@pytest.mark.parametrize("user", ["of_the_server", "of_the_account"])
def test_mariadb(once: TestOnce, mariadb_server: MariaDBServer, user: str) -> None:
    speak_tls_mariadb(mariadb_server)
    name = mariadb_server.create_database()
    demand = user == "of_the_server"
    with contextlib.closing(mariadb_server.connect()) as admin, admin.cursor() as cursor:
        cursor.execute(
            f"CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}' "
            f"REQUIRE {'NONE' if demand else 'SSL'}"
        )
        cursor.execute(f"GRANT ALL ON `{name}`.* TO '{user}'@'%'")
        cursor.execute(f"SET GLOBAL require_secure_transport = {'ON' if demand else 'OFF'}")
    at = {"host": HOST, "port": str(mariadb_server.port), "database": name, "user": user}
    follow(
        once,
        "mysql",
        lambda mode: at | {"ssl": mode},
        without="disable",
        wanted="require",
        advised="set TLS (ssl) to require",
    )
    url = f"mysql://{user}@{HOST}:{mariadb_server.port}/{name}?ssl_mode="
    follow(
        once,
        "ledger",
        lambda mode: {"url": f"{url}{mode}"},
        without="disabled",
        wanted="required",
        advised="write ssl_mode=required in the URL",
    )
    encrypted = once("mysql", at | {"ssl": "require"}, {"password": "wrong"}, ca=AUTHORITY.pem)
    assert encrypted.cause == "The user name or password was refused."


@pytest.mark.slow
@pytest.mark.parametrize("user", ["without_an_entry", "rejected"])
def test_postgres(
    once: TestOnce, postgres_server: PostgresServer, tmp_path: Path, user: str
) -> None:
    speak_tls_postgres(postgres_server, tmp_path)
    with contextlib.closing(postgres_server.connect("postgres")) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
        cursor.execute("SHOW hba_file")
        rules = Path(str((cursor.fetchone() or ("",))[0]))
        cursor.execute(f"CREATE DATABASE of_{user} OWNER {user}")
        rules.write_text(
            f"host all {postgres_server.user} all scram-sha-256\n"
            "hostnossl all rejected all reject\n" + LET_IN
        )
    postgres_server.restart()  # a reload tells nobody when it has been done
    at = {"host": HOST, "port": str(postgres_server.port), "database": f"of_{user}", "user": user}
    follow(
        once,
        "postgres",
        lambda mode: at | {"sslmode": mode},
        without="disable",
        wanted="require",
        advised="Set TLS (sslmode) to require",
    )
    url = f"postgresql://{user}@{HOST}:{postgres_server.port}/of_{user}?sslmode="
    follow(
        once,
        "ledger",
        lambda mode: {"url": f"{url}{mode}"},
        without="disable",
        wanted="require",
        advised="dd ?sslmode=require to the URL",
    )
    rules.write_text(f"host all {postgres_server.user} all scram-sha-256\n")
    postgres_server.restart()
    # Nobody is let in, with TLS or without: TLS is no advice then.
    nowhere = once("postgres", at | {"sslmode": "prefer"}, {"password": PASSWORD}, ca=AUTHORITY.pem)
    assert "TLS" not in f"{nowhere.cause} {nowhere.advice}", nowhere


@pytest.mark.parametrize(
    ("tls", "advised"),
    [(mysql_errors.SETTING, "Set TLS (ssl) to"), (mysql_errors.URL, "Write ssl_mode=required")],
)
def test_mysql_says_it_by_a_number_of_its_own(tls: dict[str, str], advised: str) -> None:
    """MySQL's; MariaDB has none."""
    raised = pymysql.err.OperationalError(3159, "Connections using insecure transport are …")
    found = mysql_errors.explain(raised, "MySQL", Place("db"), tls=tls)
    assert not isinstance(found, CredentialsRefused)
    assert advised in found.advice
