"""The fixtures themselves: real servers, private, restartable, gone afterwards."""

import ast
import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg2
import pymysql
import pytest
from sqlalchemy import create_engine, text

from tests.fixtures import mariadb, processes
from tests.fixtures.servers import of_its_own

postgres_server = of_its_own("postgres_server")
mariadb_server = of_its_own("mariadb_server")
rabbitmq_server = of_its_own("rabbitmq_server")


class TestPostgres:
    def test_gives_a_fresh_database_over_tcp(self, postgres_url, postgres_server):
        engine = create_engine(postgres_url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (id int)"))
            assert connection.execute(text("SHOW timezone")).scalar() == "UTC"
        engine.dispose()
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(
                host=postgres_server.host, port=postgres_server.port, user="portal", password="no"
            )

    def test_keeps_its_address_and_data_over_a_restart(self, postgres_server):
        name = postgres_server.create_database()
        postgres_server.restart()
        postgres_server.connect(name).close()
        postgres_server.stop()
        assert not postgres_server.answers()
        postgres_server.start()
        postgres_server.drop_database(name)


class TestMariaDB:
    def test_names_the_package_of_every_program_that_its_set_up_calls(self, mariadb_server):
        if not shutil.which("dpkg-query"):
            pytest.skip("not a server of ours from Debian's packages")
        script = Path(processes.program("mariadb-install-db", package="")).read_text()
        called = {Path(path).name for path in re.findall(r"/usr/s?bin/[\w-]+", script)}
        assert called
        assert called <= set(mariadb.PACKAGES)
        for name, package in mariadb.PACKAGES.items():
            path = os.path.realpath(processes.program(name, package=package))
            owner = subprocess.run(
                ["dpkg-query", "--search", path], capture_output=True, text=True, check=True
            )
            assert owner.stdout.split(":")[0] == package

    def test_gives_a_fresh_database(self, mariadb_url):
        engine = create_engine(mariadb_url)
        with engine.connect() as connection:
            assert connection.execute(text("SHOW TABLES")).all() == []
        engine.dispose()

    def test_drops_a_database_that_somebody_still_locks(self, mariadb_server):
        name = mariadb_server.create_database()
        holder = mariadb_server.connect(name)
        with holder.cursor() as cursor:
            cursor.execute("CREATE TABLE t (id int)")
            cursor.execute("LOCK TABLES t WRITE")
        mariadb_server.drop_database(name)
        with contextlib.suppress(pymysql.MySQLError):
            holder.close()

    def test_stops_and_starts(self, mariadb_server):
        mariadb_server.stop()
        assert not mariadb_server.answers()
        mariadb_server.start()
        assert mariadb_server.answers()


class TestRabbitMQ:
    def test_gives_each_test_its_own_vhost(self, rabbitmq_url, rabbitmq_server):
        import pika

        with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
            connection.channel().queue_declare("mine", durable=True)
        other = rabbitmq_server.url(rabbitmq_server.take_vhost())
        with (
            pika.BlockingConnection(pika.URLParameters(other)) as connection,
            pytest.raises(pika.exceptions.ChannelClosedByBroker),
        ):
            connection.channel().queue_declare("mine", passive=True)

    def test_makes_more_vhosts_when_the_pool_is_dry(self, rabbitmq_server):
        names = {rabbitmq_server.take_vhost() for _ in range(30)}
        assert len(names) == 30
        for name in sorted(names)[:30:10]:
            rabbitmq_server.connect(name).close()

    def test_keeps_durable_queues_over_a_restart(self, rabbitmq_server):
        import pika

        url = rabbitmq_server.url(rabbitmq_server.take_vhost())
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            connection.channel().queue_declare("kept", durable=True)
        rabbitmq_server.restart()
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            connection.channel().queue_declare("kept", passive=True)

    @pytest.mark.slow
    def test_a_lent_broker_gets_vhosts_over_its_management_api(self, rabbitmq_server):
        import pika

        from tests.fixtures.rabbitmq import RabbitMQServer

        owner = RabbitMQServer.launch(plugins=("rabbitmq_management",))
        try:
            lent = RabbitMQServer(owner.host, owner.port, owner.user, owner.password)
            lent.management_port = owner.management_port
            name = lent.take_vhost()
            assert name != "/"
            lent.connect(name).close()
            lent.give_back(name)
            with pytest.raises(pika.exceptions.AMQPConnectionError):
                lent.connect(name)
            lent.password = "wrong"
            assert not lent.can_manage()
            assert lent.take_vhost() == "/"
        finally:
            owner.close()


def test_what_is_set_for_a_whole_server_is_set_on_one_that_nobody_else_uses():
    """A run of tokenization in another worker saw the server turn read-only, and did not go on."""
    shared = {"mariadb_server", "mariadb_url"}
    for file in Path(__file__).parents[1].rglob("test_*.py"):
        source = file.read_text()
        if "SET GLOBAL" not in source:
            continue
        tree = ast.parse(source)
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.col_offset == 0}
        names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.alias)}
        if "mariadb_server" in names:
            continue  # the module has one of its own by that name
        for found in ast.walk(tree):
            if isinstance(found, ast.FunctionDef) and "SET GLOBAL" in ast.unparse(found):
                asked = {argument.arg for argument in (*found.args.args, *found.args.kwonlyargs)}
                assert not asked & shared, f"{file.name}: {found.name} changes a server of others"
