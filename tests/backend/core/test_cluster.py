"""State, ledger and tables in a Galera cluster: a balancer gives each connection another node.

Tried on two nodes behind a balancer: without the wait, 18 of 320 mounts and unmounts had no known
outcome or found the pair still locked, and a row stayed mounted; with it, none.
"""

from collections.abc import Callable
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, make_url

from backend.core.database import make_engine
from backend.dms.engine import open_engine
from backend.integrations.mysql.connection import connect
from backend.integrations.mysql.errors import explain
from backend.integrations.network import Place
from tests.backend.tokenization.mysql_world import MySource

WAITS = "SELECT @@wsrep_sync_wait"


def of_an_engine(engine: Engine) -> Any:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(WAITS).scalar_one()
    engine.dispose()
    return found


def of_a_source(url: str) -> Any:
    source = MySource(url)
    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        cursor.execute(WAITS)
        return cursor.fetchone()[0]


SESSIONS = pytest.mark.parametrize(
    "waits",
    [
        lambda url: of_an_engine(make_engine(url)),
        lambda url: of_an_engine(open_engine(make_url(url))),
        of_a_source,
    ],
    ids=["state", "ledger", "table"],
)
Waits = Callable[[str], Any]


@SESSIONS
def test_a_node_answers_with_what_the_others_committed(
    waits: Waits, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite's server is no node; it says here that it is one."""
    execute: Any = pymysql.cursors.Cursor.execute

    def asked(self: Any, query: str, args: Any = None) -> Any:
        node = "SELECT 'wsrep_on', 'ON'"
        return execute(self, node if "wsrep_on" in query else query, args)

    monkeypatch.setattr(pymysql.cursors.Cursor, "execute", asked)
    assert waits(mariadb_url) == 7


@SESSIONS
def test_a_server_alone_is_left_as_it_is(waits: Waits, mariadb_url: str) -> None:
    assert waits(mariadb_url) == 0


@pytest.mark.parametrize("number", [1197, 4165])  # of the binary log, of a cluster
def test_a_run_that_is_too_large_says_what_to_raise(number: int) -> None:
    refused = pymysql.err.OperationalError(number, "Maximum writeset size exceeded")
    said = explain(refused, "MySQL shop", Place("db")).message
    assert "larger than" in said
    assert "wsrep_max_ws_size" in said
