"""What a connection test says when the other side refuses: on real servers where there are any.

Each kind's sentences stand in docs/connections.md; `WRITE_DOCS=1` writes them there anew. A
sentence that nobody foresaw ("unexpected", a class name, a bare number) fails.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backend.connections import bad_server as bad
from tests.backend.connections.refusals import PASSWORD, Ask, behaving, documented, greeting
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.processes import ServerUnavailable, missing
from tests.fixtures.rabbitmq import RabbitMQServer
from tests.fixtures.servers import of_its_own

mariadb_server = of_its_own("mariadb_server")
rabbitmq_server = of_its_own("rabbitmq_server")


@pytest.mark.slow
class TestRealServers:
    def test_postgres(self, ask: Callable[..., Ask]) -> None:
        try:
            server = PostgresServer.launch()
        except ServerUnavailable as exc:
            missing("PostgreSQL", str(exc))
        try:
            refusals_of_postgres(server, made := ask("postgres"))
        finally:
            server.close()
        documented("postgres", made.said)

    def test_ledger_on_mariadb(
        self, ask: Callable[..., Ask], mariadb_server: MariaDBServer
    ) -> None:
        made = ask("ledger")
        refusals_of_mariadb(mariadb_server, made)
        documented("ledger", made.said)

    def test_mysql_source(self, ask: Callable[..., Ask], mariadb_server: MariaDBServer) -> None:
        made = ask("mysql")
        refusals_of_a_mysql_source(mariadb_server, made)
        documented("mysql", made.said)

    def test_rabbitmq(self, ask: Callable[..., Ask], rabbitmq_server: RabbitMQServer) -> None:
        made = ask("rabbitmq")
        refusals_of_rabbitmq(rabbitmq_server, made)
        documented("rabbitmq", made.said)


def refusals_of_postgres(server: PostgresServer, ask: Ask) -> None:
    with contextlib.closing(server.connect("postgres")) as admin, admin.cursor() as cursor:
        for statement in (
            f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'",
            f"CREATE ROLE nobody_in NOLOGIN PASSWORD '{PASSWORD}'",
            f"CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '{PASSWORD}'",
            f"CREATE ROLE gone LOGIN PASSWORD '{PASSWORD}' VALID UNTIL '2020-01-01'",
            f"CREATE ROLE kept_out LOGIN PASSWORD '{PASSWORD}'",
            f"CREATE ROLE only_tls LOGIN PASSWORD '{PASSWORD}'",
            f"CREATE ROLE no_temp LOGIN PASSWORD '{PASSWORD}'",
            "CREATE DATABASE closed ALLOW_CONNECTIONS false",
            "CREATE DATABASE private",
            "REVOKE CONNECT ON DATABASE private FROM PUBLIC",
            "CREATE DATABASE full_house CONNECTION LIMIT 0",
            "CREATE DATABASE bare",
            "REVOKE TEMP ON DATABASE bare FROM PUBLIC",
            "SHOW hba_file",
        ):
            cursor.execute(statement)
        rules = Path(str((cursor.fetchone() or ("",))[0]))
        rules.write_text(
            "host all kept_out all reject\nhostnossl all only_tls all reject\n" + rules.read_text()
        )
        cursor.execute("SELECT pg_reload_conf()")
    right = {"host": "127.0.0.1", "port": str(server.port), "database": "postgres"}
    known = {"password": PASSWORD}

    def as_user(case: str, user: str, **changed: str) -> None:
        ask(case, {**right, "user": user, **changed}, known)

    ask("wrong password", {**right, "user": "reader"}, {"password": "wrong"})
    ask("no password stored", {**right, "user": "reader"})
    as_user("no such role", "nobody_at_all")
    as_user("role without LOGIN", "nobody_in")
    as_user("role at its connection limit", "crowded")
    as_user("role past VALID UNTIL", "gone")
    as_user("pg_hba.conf rejects", "kept_out")
    as_user("pg_hba.conf wants TLS", "only_tls", sslmode="disable")
    as_user("no such database", "reader", database="nowhere")
    as_user("database takes no connections", "reader", database="closed")
    as_user("no CONNECT privilege", "reader", database="private")
    as_user("database at its connection limit", "reader", database="full_house")
    as_user("no TEMP privilege", "no_temp", database="bare")
    as_user("server without TLS", "reader", sslmode="require")
    as_user("no root certificate", "reader", sslmode="verify-full")
    as_user("nothing listens", "reader", port="1")
    as_user("unknown host", "reader", host="no-such-host.invalid")
    with behaving(greeting(b"\x4a\x00\x00\x00\x0a8.0.36\x00")) as other:
        as_user("MySQL at that port", "reader", port=str(other.port))
    with behaving(bad.html) as other:
        as_user("a web server at that port", "reader", port=str(other.port))
    with behaving(bad.hang_up) as other:
        as_user("the server hangs up", "reader", port=str(other.port))
    with behaving(bad.silent) as other:
        as_user("no answer", "reader", port=str(other.port))


def refusals_of_mariadb(server: MariaDBServer, ask: Ask) -> None:
    name = server.create_database()
    with contextlib.closing(server.connect()) as admin, admin.cursor() as cursor:
        for user, options in (
            ("fine", ""),
            ("locked", "ACCOUNT LOCK"),
            ("expired", "PASSWORD EXPIRE"),
            ("tls_only", "REQUIRE SSL"),
            ("elsewhere", ""),
            ("unprivileged", ""),
            ("reader", ""),
        ):
            host = "10.9.8.7" if user == "elsewhere" else "%"
            cursor.execute(
                f"CREATE OR REPLACE USER '{user}'@'{host}' IDENTIFIED BY '{PASSWORD}' {options}"
            )
            if user not in ("unprivileged", "reader"):
                cursor.execute(f"GRANT ALL ON `{name}`.* TO '{user}'@'{host}'")
        cursor.execute(f"GRANT SELECT ON `{name}`.* TO 'reader'@'%'")
        cursor.execute(
            "CREATE OR REPLACE USER 'rationed'@'%' IDENTIFIED BY "
            f"'{PASSWORD}' WITH MAX_CONNECTIONS_PER_HOUR 1"
        )
        cursor.execute("CREATE OR REPLACE USER 'sealed'@'%' IDENTIFIED VIA unix_socket")
    from tests.backend.connections.test_real_servers import TestLedger

    def url(user: str, password: str = PASSWORD, database: str = name, port: int = 0) -> dict:
        at = f"{server.host}:{port or server.port}"
        return {"url": f"mysql+pymysql://{user}:{password}@{at}/{database}"}

    try:
        ask("wrong password", url("fine", "wrong"))
        ask("no such user", url("nobody"))
        ask("locked account", url("locked"))
        ask("expired password", url("expired"))
        ask("account of another host", url("elsewhere"))
        ask("account without a password, of the server's machine only", url("sealed"))
        ask("server wants TLS", url("tls_only"))
        ask("no such database", {"url": server.url("nowhere")})
        ask("no right on the database", url("unprivileged"))
        with contextlib.suppress(AssertionError):
            ask("uses the one connection", url("rationed", database=""))
        ask.said.pop("uses the one connection", None)
        ask("more connections than allowed in an hour", url("rationed", database=""))
        TestLedger().prepare(server.url(name))
        ask("no right to write", url("reader"))
        with contextlib.closing(server.connect()) as admin, admin.cursor() as cursor:
            cursor.execute(f"ALTER TABLE `{name}`.backup_target_mount_ledger DROP COLUMN version")
        ask("a column is missing", url("fine"))
        with contextlib.closing(server.connect()) as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP TABLE `{name}`.backup_target_mount_ledger")
            cursor.execute(f"CREATE TABLE `{name}`.something_else (a INT)")
        ask("no such table", url("fine"))
        ask("nothing listens", url("fine", port=1))
        ask("unknown host", {"url": "mysql+pymysql://u:p@no-such-host.invalid/dms"})
        with behaving(bad.silent) as other:
            ask("no answer (PostgreSQL or a web server at that port)", url("fine", port=other.port))
        with behaving(bad.close) as other:
            ask("the server hangs up", url("fine", port=other.port))
        ask.deadline = 10.0  # MySQL's driver waits on until half of it, each time
        with behaving(greeting(b"SSH-2.0-OpenSSH_9.2\r\n")) as other:
            ask("SSH at that port", url("fine", port=other.port))
    finally:
        server.drop_database(name)
    for text in (name,):
        ask.said = {case: said.replace(text, "dms") for case, said in ask.said.items()}


def refusals_of_a_mysql_source(server: MariaDBServer, ask: Ask) -> None:
    name = server.create_database()
    with contextlib.closing(server.connect()) as admin, admin.cursor() as cursor:
        for user, options in (
            ("src_fine", ""),
            ("src_locked", "ACCOUNT LOCK"),
            ("src_expired", "PASSWORD EXPIRE"),
            ("src_unprivileged", ""),
            ("src_no_temp", ""),
        ):
            cursor.execute(
                f"CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}' {options}"
            )
            if user != "src_unprivileged":
                granted = "SELECT" if user == "src_no_temp" else "ALL"
                cursor.execute(f"GRANT {granted} ON `{name}`.* TO '{user}'@'%'")
        cursor.execute("GRANT ALL ON nowhere.* TO 'src_fine'@'%'")
    right = {"host": server.host, "port": str(server.port), "database": name}
    known = {"password": PASSWORD}

    def as_user(case: str, user: str, **changed: str) -> None:
        ask(case, {**right, "user": user, **changed}, known)

    try:
        ask("wrong password", {**right, "user": "src_fine"}, {"password": "wrong"})
        ask("no password stored", {**right, "user": "src_fine"})
        as_user("no such user", "nobody")
        as_user("locked account", "src_locked")
        as_user("expired password", "src_expired")
        as_user("no such database", "src_fine", database="nowhere")
        as_user("no right on the database", "src_unprivileged")
        as_user("no right to temporary tables", "src_no_temp")
        with contextlib.closing(server.connect()) as admin, admin.cursor() as cursor:
            cursor.execute("SET GLOBAL read_only = ON")
            try:
                as_user("a replica, read-only", "src_fine")
            finally:
                cursor.execute("SET GLOBAL read_only = OFF")
        as_user("server without TLS", "src_fine", ssl="require")
        as_user("nothing listens", "src_fine", port="1")
        as_user("unknown host", "src_fine", host="no-such-host.invalid")
        with behaving(bad.silent) as other:
            as_user("no answer", "src_fine", port=str(other.port))
        with behaving(bad.close) as other:
            as_user("the server hangs up", "src_fine", port=str(other.port))
        with behaving(greeting(b"SSH-2.0-OpenSSH_9.2\r\n")) as other:
            as_user("SSH at that port", "src_fine", port=str(other.port))
    finally:
        server.drop_database(name)
    ask.said = {case: said.replace(name, "shop") for case, said in ask.said.items()}


def refusals_of_rabbitmq(server: RabbitMQServer, ask: Ask) -> None:
    none, accounts = '<<"{\\"max-connections\\": 0}">>', "rabbit_auth_backend_internal"
    server.evaluate(
        *(
            f'ok = {accounts}:add_user(<<"{user}">>, <<"{PASSWORD}">>, <<"suite">>)'
            for user in ("limited", "no_vhost")
        ),
        server.permission("limited", "/"),
        f'ok = {accounts}:set_user_limits(<<"limited">>, {none}, <<"suite">>)',
        'ok = rabbit_vhost:add(<<"full">>, <<"suite">>)',
        server.permission(server.user, "full"),
        f'ok = rabbit_vhost_limit:parse_set(<<"full">>, {none}, <<"suite">>)',
    )
    at = f"{server.host}:{server.port}"
    login = f"{server.user}:{server.password}"
    ask("wrong password", {"url": f"amqp://{server.user}:wrong@{at}/"})
    ask("no such user", {"url": f"amqp://nobody:{PASSWORD}@{at}/"})
    ask("no password stored", {"url": f"amqp://{server.user}@{at}/"})
    ask("no such virtual host", {"url": f"amqp://{login}@{at}/nowhere"})
    ask("no right in the virtual host", {"url": f"amqp://no_vhost:{PASSWORD}@{at}/"})
    ask("user at its connection limit", {"url": f"amqp://limited:{PASSWORD}@{at}/"})
    ask("virtual host at its connection limit", {"url": f"amqp://{login}@{at}/full"})
    ask("amqps to a plain port", {"url": f"amqps://{login}@{at}/"})
    ask("nothing listens", {"url": "amqp://u:p@127.0.0.1:1/"})
    ask("unknown host", {"url": "amqp://u:p@no-such-host.invalid/"})
    with behaving(bad.html) as other:
        ask("a web server at that port", {"url": f"amqp://u:p@127.0.0.1:{other.port}/"})
    with behaving(bad.hang_up) as other:
        ask("the server hangs up", {"url": f"amqp://u:p@127.0.0.1:{other.port}/"})
    with behaving(bad.silent) as other:
        ask("no answer", {"url": f"amqp://u:p@127.0.0.1:{other.port}/"})
