"""When the sandbox runs, and how one leaves it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.core.settings import get_settings
from backend.sandbox import control, process


@pytest.fixture
def sandbox_environment(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name=control.ENVIRONMENT, is_sandbox=True)


def _wanted(database: Database) -> bool:
    with database.read() as session:
        return control.wanted(session)


class TestWanted:
    def test_auto_runs_while_no_real_environment_exists(
        self, database: Database, sandbox_environment: None
    ) -> None:
        assert _wanted(database)
        with database.write() as session:
            environments.add(session, SYSTEM, name="prod")
        assert not _wanted(database)

    @pytest.mark.parametrize(("choice", "expected"), [("on", True), ("off", False)])
    def test_on_and_off_are_obeyed(
        self,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        choice: str,
        expected: bool,
    ) -> None:
        monkeypatch.setenv("PORTAL_SANDBOX", choice)
        get_settings.cache_clear()
        with database.write() as session:
            environments.add(session, SYSTEM, name="prod")
        assert _wanted(database) is expected


class TestLeave:
    def test_removes_the_sandbox_and_nothing_else_and_stays_left(
        self, database: Database, sandbox_environment: None, actors: SimpleNamespace
    ) -> None:
        assert control.leave(database, actors.admin)
        with database.read() as session:
            assert environments.list_all(session, SYSTEM) == ()
        assert not _wanted(database)

    def test_is_for_admins(
        self, database: Database, sandbox_environment: None, actors: SimpleNamespace
    ) -> None:
        for actor in (actors.viewer, actors.steward, actors.operator):
            with pytest.raises(NotPermitted):
                control.leave(database, actor)
        with database.read() as session:
            assert control.state(environments.list_all(session, actors.viewer)).active

    def test_removing_its_environment_is_leaving_it(
        self, database: Database, sandbox_environment: None, actors: SimpleNamespace
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="prod")
        control.remove(database, actors.admin, name="prod", confirm_name="prod")
        assert _wanted(database)
        control.remove(database, actors.admin, name="Sandbox", confirm_name="Sandbox")
        assert not _wanted(database)

    def test_its_servers_end_wherever_it_was_left(self, tmp_path: Path) -> None:
        process.mark_left(tmp_path)  # once before: PORTAL_SANDBOX=on starts it all the same
        without_parts = "from backend.sandbox import __main__, parts; parts.PARTS = ('none',); "
        running = subprocess.Popen(
            [sys.executable, "-c", without_parts + "__main__.main()", str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert running.stdin
        assert running.stdout
        with running.stdin, running.stdout:
            assert b"connections" in running.stdout.readline()
            assert running.poll() is None
            process.mark_left(tmp_path)
            assert running.wait(60) == 0


class TestState:
    def test_says_that_nothing_is_real_only_while_that_is_so(
        self, database: Database, sandbox_environment: None, actors: SimpleNamespace
    ) -> None:
        with database.read() as session:
            assert (
                "Nothing here touches"
                in control.state(environments.list_all(session, actors.viewer)).message
            )
        with database.write() as session:
            environments.add(session, SYSTEM, name="prod")
        with database.read() as session:
            message = control.state(environments.list_all(session, actors.viewer)).message
        assert "Nothing here" not in message
        assert "real" in message
