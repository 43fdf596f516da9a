"""Connections of the web server send at once, however its socket was bound."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backend.core.database import Database
from backend.core.sockets import send_at_once
from backend.sandbox.loopback import LoopbackServer, json_response

OTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("CREATE TABLE of_the_other (number INTEGER)")
connection.commit()
connection.close()
"""


def _nodelay(connection: socket.socket) -> bool:
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_a_connection_accepted_later_has_no_delay() -> None:
    with socket.socket() as server:  # no protocol number, as Streamlit binds it
        server.bind(("127.0.0.1", 0))
        assert send_at_once() >= 1
        server.listen()
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                assert _nodelay(accepted)
                assert not _nodelay(client)


def test_a_stand_in_has_no_delay_either() -> None:
    """Each of the sandbox's answers on a kept connection waited 40 ms."""
    server = LoopbackServer(lambda _request: json_response(200, {}))
    assert _nodelay(server._socket)
    server.close()


def test_other_descriptors_are_left_alone(tmp_path) -> None:
    with (tmp_path / "file").open("w") as file, socket.socket(socket.AF_UNIX) as other:
        send_at_once()
        file.write("still open")
        assert other.fileno() > 0


def test_the_state_database_stays_locked_against_other_processes(tmp_path: Path) -> None:
    """A closed duplicate of the file would drop SQLite's locks; another process's last close
    then deletes the write-ahead log under this one, and both lose what the other writes."""
    path = tmp_path / "portal.sqlite"
    database = Database(f"sqlite:///{path}")
    with database.write() as session:
        session.execute(text("CREATE TABLE mine (number INTEGER)"))
    send_at_once()
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(path)], check=True, timeout=60)
    assert path.with_name("portal.sqlite-wal").exists()
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM of_the_other")).scalar() == 0
    database.dispose()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has this option")
def test_a_database_that_vanished_is_not_waited_for_as_long_as_the_kernel_does(
    any_database: Database,
) -> None:
    """At a failover the host is gone and says nothing; a pooled connection to it was waited for a
    quarter of an hour."""
    if any_database.engine.dialect.name == "sqlite":
        pytest.skip("a file has no connection")
    with any_database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        number = driver.fileno() if hasattr(driver, "fileno") else driver._sock.fileno()
        with socket.socket(fileno=os.dup(number)) as used:
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
