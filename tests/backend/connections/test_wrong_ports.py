"""The right host and the port of something else: each kind says what it did not find there.

Real PostgreSQL, MariaDB and RabbitMQ, and an HTTP server in clear and over TLS, each asked by every
kind but its own. docs/connections.md holds what is said (`WRITE_DOCS=1` writes it there anew).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backend.connections import bad_server as bad
from tests.backend.connections.refusals import (
    PASSWORD,
    Ask,
    behaving,
    documented,
    greeting,
)
from tests.fixtures.certificates import self_signed
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.rabbitmq import RabbitMQServer

LOGIN = {"database": "shop", "user": "portal"}
#: How each kind is sent to a port → settings, secrets.
ASKS: dict[str, Callable[[int], tuple[dict[str, str], dict[str, str]]]] = {
    "postgres": lambda port: (
        {"host": "127.0.0.1", "port": str(port), **LOGIN},
        {"password": PASSWORD},
    ),
    "postgres with TLS": lambda port: (
        {"host": "127.0.0.1", "port": str(port), "sslmode": "require", **LOGIN},
        {"password": PASSWORD},
    ),
    "mysql": lambda port: (
        {"host": "127.0.0.1", "port": str(port), **LOGIN},
        {"password": PASSWORD},
    ),
    "mysql with TLS": lambda port: (
        {"host": "127.0.0.1", "port": str(port), "ssl": "require", **LOGIN},
        {"password": PASSWORD},
    ),
    "ledger on PostgreSQL": lambda port: (
        {"url": f"postgresql+psycopg2://portal@127.0.0.1:{port}/dms"},
        {"password": PASSWORD},
    ),
    "ledger on MySQL": lambda port: (
        {"url": f"mysql+pymysql://portal@127.0.0.1:{port}/dms"},
        {"password": PASSWORD},
    ),
    "rabbitmq": lambda port: (
        {"url": f"amqp://portal@127.0.0.1:{port}/"},
        {"password": PASSWORD},
    ),
    "rabbitmq with TLS": lambda port: (
        {"url": f"amqps://portal@127.0.0.1:{port}/"},
        {"password": PASSWORD},
    ),
    "datahub": lambda port: ({"server": f"http://127.0.0.1:{port}"}, {"token": "t.t.t"}),
    "datahub with TLS": lambda port: ({"server": f"https://127.0.0.1:{port}"}, {"token": "t.t.t"}),
    "openmetadata": lambda port: (
        {"host_port": f"http://127.0.0.1:{port}/api"},
        {"jwt_token": "t.t.t"},
    ),
    "directory": lambda port: ({"endpoint": f"http://127.0.0.1:{port}/graphql"}, {}),
    "aws": lambda port: (
        {
            "region": "eu-central-1",
            "access_key_id": "AK",
            "endpoint_url": f"http://127.0.0.1:{port}",
        },
        {"secret_access_key": "x"},
    ),
    "databricks": lambda port: (
        {"jdbc_url": f"jdbc:databricks://127.0.0.1:{port};httpPath=/sql/1.0/warehouses/x"},
        {"access_token": "x"},
    ),
}
#: Who is at home at which port.
AT_HOME = {
    "PostgreSQL": ("postgres", "ledger on PostgreSQL"),
    "MariaDB": ("mysql", "ledger on MySQL"),
    "RabbitMQ": ("rabbitmq",),
    "HTTP": ("datahub", "openmetadata", "directory", "aws"),
    "HTTPS": ("datahub with TLS", "databricks"),
}
#: What would send somebody to mend what is right.
UNTRUE = ("refused", "password", "handshake failed", "did not answer", "No answer", "Try again")


def untrue(said: dict[str, str]) -> dict[str, str]:
    return {case: text for case, text in said.items() if any(word in text for word in UNTRUE)}


@pytest.mark.slow
def test_each_kind_says_who_is_there(
    ask: Callable[..., Ask],
    tmp_path: Path,
    postgres_server: PostgresServer,
    mariadb_server: MariaDBServer,
    rabbitmq_server: RabbitMQServer,
) -> None:
    certificate = self_signed(tmp_path, "127.0.0.1")
    ports = {
        "PostgreSQL": postgres_server.port,
        "MariaDB": mariadb_server.port,
        "RabbitMQ": rabbitmq_server.port,
    }
    asked = {name: ask(name.split()[0]) for name in ASKS}
    for each in asked.values():
        each.deadline = 5.0

    def of(what: str, port: int) -> dict[str, str]:
        """What each kind says at this port: most of the time it waits, so all ports at once."""
        others = {name: how for name, how in ASKS.items() if name not in AT_HOME.get(what, ())}
        return {
            f"{what}, asked as {name}": asked[name].says(*how(port)) for name, how in others.items()
        }

    with (
        behaving(bad.answer("400 Bad Request", "{}")) as http,
        behaving(bad.answer("400 Bad Request", "{}"), certificate) as https,
        behaving(greeting(b"SSH-2.0-OpenSSH_9.2\r\n")) as ssh,
    ):
        ports |= {"HTTP": http.port, "HTTPS": https.port, "SSH": ssh.port}
        with ThreadPoolExecutor(len(ports)) as pool:
            said = {k: v for each in pool.map(of, ports, ports.values()) for k, v in each.items()}
        for case in untrue(said):  # a busy machine: once more, alone and with more time
            what, name = case.split(", asked as ")
            said[case] = asked[name].says(*ASKS[name](ports[what]), deadline=40.0)
    assert not untrue(said), untrue(said)
    documented("ports", said)
