"""Servers of a run: its workers share them, and none outlives it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import processes, shared
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.rabbitmq import RabbitMQServer

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow]

WHERE = """
import os
import pytest
from tests.fixtures.shared import *  # noqa: F403 - xdist's hook, as tests/conftest.py has it
from tests.fixtures.servers import postgres_server

@pytest.mark.parametrize("number", range(4))
def test_where(postgres_server, number):
    with open("where", "a") as file:
        file.write(f"{os.getpid()} {postgres_server.port}\\n")
    postgres_server.drop_database(postgres_server.create_database())
    assert not postgres_server.managed
"""


def test_the_workers_of_a_run_use_one_server_which_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WHERE.partition("@pytest")[0])
    (tmp_path / "test_where.py").write_text(WHERE)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environ |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2", "--dist", "load"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    seen = [line.split() for line in (tmp_path / "where").read_text().splitlines()]
    assert len(seen) == 4
    assert len({worker for worker, _ in seen}) == 2
    (port,) = {port for _, port in seen}
    assert not processes.listens("127.0.0.1", int(port))


def test_two_workers_never_get_the_same_vhost(own_rabbitmq_server: RabbitMQServer) -> None:
    first, second = (
        RabbitMQServer.borrow(own_rabbitmq_server.lend(), own_rabbitmq_server.lend)
        for _ in range(2)
    )
    names = [each.take_vhost() for each in (first, second) for _ in range(10)]
    assert len(set(names)) == 20
    first.connect(names[-1]).close()


def test_a_server_that_cannot_be_had_is_told_to_every_worker(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    def refuse() -> PostgresServer:
        raise processes.ServerUnavailable("no programs")

    monkeypatch.setattr(PostgresServer, "launch", refuse)
    servers = shared.Servers()
    told = (servers.address, servers.key.hex())
    monkeypatch.setattr(pytestconfig, "workerinput", {"shared_servers": told}, raising=False)
    try:
        for _ in range(2):
            with pytest.raises(processes.ServerUnavailable, match="no programs"):
                shared.ask(pytestconfig, PostgresServer)
    finally:
        servers.close()
    assert not servers.folder.exists()
