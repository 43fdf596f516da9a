"""What a person stops ends at its next safe point, on the source's server too."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.core import stopping
from backend.core.stopping import Stop, Stopped
from backend.integrations.mysql import connection as mysql_connection
from backend.integrations.postgres import connection as postgres_connection
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.world import Source


def test_without_a_stop_nothing_is_asked() -> None:
    stopping.step("anything")
    with stopping.cancellable(lambda: pytest.fail("nobody stops it")):
        pass


def test_a_step_says_what_comes_next_until_it_is_stopped() -> None:
    stop = Stop()
    with stopping.by(stop):
        stopping.step("counting", 0.5)
        assert (stop.note, stop.share) == ("counting", 0.5)
        stop.ask()
        with pytest.raises(Stopped):
            stopping.step("more")
        with pytest.raises(Stopped), stopping.cancellable(lambda: None):
            pytest.fail("it was stopped before")


def test_an_error_of_what_was_not_stopped_stays_what_it_is() -> None:
    with stopping.by(Stop()), pytest.raises(KeyError), stopping.cancellable(lambda: None):
        raise KeyError("x")


def _stopped(ask: Callable[[], object], under_way: Callable[[], list[Any]]) -> None:
    """`ask()` in a thread, stopped once the server has its statement; the server has it no more."""
    stop = Stop()

    def long() -> None:
        with stopping.by(stop):
            ask()

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(long)
        _until(lambda: under_way() == [1] or asked.done())
        stop.ask()
        with pytest.raises(Stopped):
            asked.result(timeout=60)
    _until(lambda: under_way() == [0])


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_statement_on_postgresql_is_cancelled(postgres_url: str) -> None:
    source = Source(postgres_url)

    def ask() -> None:
        with (
            postgres_connection.connect(
                source.settings, source.secrets, statement_timeout=300
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT pg_sleep(200)")

    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state = 'active' AND query = 'SELECT pg_sleep(200)'"
    )
    _stopped(ask, lambda: source.column(running))


def test_a_session_on_mysql_is_ended(mariadb_url: str) -> None:
    source = MySource(mariadb_url)

    def ask() -> None:
        with (
            mysql_connection.connect(
                source.settings, source.secrets, statement_timeout=300
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT SLEEP(200)")

    running = (
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() "
        "AND info = 'SELECT SLEEP(200)'"
    )
    _stopped(ask, lambda: source.column(running))
