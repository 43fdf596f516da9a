"""A server that stands still (SIGSTOP, or without the standby that its commits wait for).

The run ends in words after the client's own deadline; what it says stays true when the server
moves again.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from backend.core.errors import UpstreamTimeout
from backend.integrations.postgres import connection, deadline
from backend.tokenization import execution, reconcile
from backend.tokenization.engines.postgres import catalog, engine
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.test_postgres_inspect import report
from tests.backend.tokenization.test_reconcile import plain
from tests.backend.tokenization.world import Source, World, customers
from tests.fixtures.servers import of_its_own

postgres_server = of_its_own("postgres_server")

PATIENCE = 3.0


class Frozen:
    """Stops the server process behind a session, once, and lets it go on."""

    def __init__(self, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
        self._source, self._patch, self.pid = source, monkeypatch, 0

    def stop(self) -> None:
        """The session of the run; nothing happens the second time."""
        if self.pid:
            return
        (self.pid,) = self._source.column(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE 'steward-portal%'"
        )
        os.kill(self.pid, signal.SIGSTOP)
        # Only from here on, and only here: who does answer may take its time on a busy machine.
        short = property(self._patience, lambda *_: None)
        self._patch.setattr(deadline.WatchedConnection, "patience", short)

    def _patience(self, asking: Any) -> float:
        if not hasattr(asking, "of"):  # asked for once more when the connection is broken
            asking.of = asking.get_backend_pid()
        return PATIENCE if asking.of == self.pid else 600.0

    def go_on(self) -> None:
        """Returns when the session has ended, as it does once nobody listens to it any more."""
        if not self.pid:
            return
        os.kill(self.pid, signal.SIGCONT)
        gone_by = time.monotonic() + 60
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        while self._source.column(query, (self.pid,)) != [0]:
            assert time.monotonic() < gone_by, "the session did not end"
            time.sleep(0.05)


@pytest.fixture
def frozen(
    postgres_server: Any, source: Source, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Frozen]:
    found = Frozen(source, monkeypatch)
    yield found
    with contextlib.suppress(ProcessLookupError):
        found.go_on()


def stop_at(monkeypatch: pytest.MonkeyPatch, step: str, frozen: Frozen) -> None:
    """Stop the server process when the run reports this step."""
    original = getattr(execution._Control, step)

    def stopping(*arguments: Any) -> None:
        original(*arguments)
        frozen.stop()

    monkeypatch.setattr(execution._Control, step, stopping)


def test_in_the_middle_the_run_fails_and_nothing_was_changed(
    world: World, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers(world.source)
    stop_at(monkeypatch, "progress", frozen)

    ended = world.work(world.start("customers", "email"))

    assert (ended.state, ended.rows_updated) == (RunState.FAILED, 0)
    assert "gave no answer within 3 seconds" in ended.details
    assert "pg_terminate_backend" in ended.details
    frozen.go_on()
    assert plain(world) == 50
    assert world.work(world.start("customers", "email")).rows_updated == 50


def test_at_the_commit_the_run_is_unknown_until_the_server_moves(
    world: World, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers(world.source)
    stop_at(monkeypatch, "committing", frozen)
    asked = engine.PostgresEngine.outcome
    monkeypatch.setattr(
        engine.PostgresEngine, "outcome", lambda self, xid, patience: asked(self, xid, patience=0)
    )

    ended = world.work(world.start("customers", "email"))

    assert ended.state is RunState.UNKNOWN
    assert "still busy with it" in ended.details
    frozen.go_on()
    settled = reconcile.reconcile_one(world.database, ended.id)
    assert (settled.state, settled.rows_updated, plain(world)) == (RunState.SUCCEEDED, 50, 0)


def test_every_call_on_the_connection_is_watched(source: Source, frozen: Frozen) -> None:
    def opened() -> Any:
        return connection.open_connection(
            source.settings,
            source.secrets,
            application="steward-portal test",
            connect_timeout=60,
            statement_timeout=60,
            lock_timeout=5,
        )

    with contextlib.closing(opened()) as open_one:
        assert open_one.patience == deadline.patience_for(60) == 90
        frozen.stop()
        with pytest.raises(deadline.NoAnswer):
            open_one.rollback()
        assert open_one.closed
    with pytest.raises(UpstreamTimeout, match="gave no answer"), connection.translated("here"):
        raise deadline.NoAnswer(2)


def test_an_answer_in_time_leaves_no_watch_behind(source: Source) -> None:
    before = threading.active_count()
    with connection.connect(source.settings, source.secrets) as quick, quick.cursor() as cursor:
        for _ in range(20):
            cursor.execute("SELECT 1")
        with pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute("SELECT * FROM nothing_here")
        quick.rollback()
        assert threading.active_count() == before


def set_standbys(source: Source, names: str) -> None:
    source.run(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")
    told_by = time.monotonic() + 60
    while source.column("SHOW synchronous_standby_names") != [names]:
        assert time.monotonic() < told_by, "the server did not read its settings"
        time.sleep(0.05)


def test_a_commit_that_would_wait_for_a_standby_that_is_away_is_refused_before(
    source: Source,
) -> None:
    """The run would keep writers out of the table for as long as it waits."""
    customers(source, rows=10)
    local = {"options": "-c synchronous_commit=local"}
    assert report(source, "customers", "email").blockers == ()
    set_standbys(source, "away")
    try:
        (blocker,) = report(source, "customers", "email").blockers
        assert "synchronous standby" in blocker
        with source.connection(**local) as connection, connection.cursor() as cursor:
            assert not catalog.read(cursor, source.table("customers")).server.lacks_standby
    finally:
        set_standbys(source, "")
    assert report(source, "customers", "email").blockers == ()
