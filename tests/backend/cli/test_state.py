"""No command makes a second state by mistake; `init` and --create make one on purpose."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.core.crypto import KEY_FILE
from backend.core.database import Database, forget_databases
from backend.core.settings import get_settings
from backend.core.startup import NoState
from tests.backend.cli.conftest import RunCli
from tests.fixtures.postgres import PostgresServer


@pytest.fixture
def nowhere(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder that does not exist, in force."""
    folder = tmp_path / "elsewhere" / "state"
    monkeypatch.setenv("PORTAL_DATA_DIR", str(folder))
    get_settings.cache_clear()
    yield folder
    forget_databases()


class TestWithoutAState:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("tokens", "add", "nightly", "--role", "operator"),
            ("accounts", "list"),
            ("audit", "verify"),
            ("migrate",),
            ("worker",),
            ("secrets", "rotate"),
            ("refresh_client_info", "--all"),
            ("mcp",),
            ("backup", "kept.zip"),
            ("restore", "--done"),
            ("accounts", "reset-password", "admin"),
            ("doctor", "--through", "http://127.0.0.1:1"),
        ],
    )
    def test_a_command_says_where_and_makes_nothing(
        self, run_cli: RunCli, nowhere: Path, arguments: tuple[str, ...]
    ) -> None:
        ended = run_cli(*arguments)
        assert ended.status == 1
        assert ended.out == ""
        assert ended.err == NoState(str(nowhere / "portal.sqlite")).message + "\n"
        assert not nowhere.exists()

    @pytest.mark.parametrize("there", ["nothing", "another program's", "in a folder of its own"])
    def test_a_database_url_that_leads_elsewhere_makes_nothing_there(
        self, run_cli: RunCli, nowhere: Path, monkeypatch: pytest.MonkeyPatch, there: str
    ) -> None:
        file = nowhere.parent / ("deep/down.sqlite" if "folder" in there else "other.sqlite")
        nowhere.parent.mkdir()
        if there == "another program's":
            with contextlib.closing(sqlite3.connect(file)) as other:
                other.execute("CREATE TABLE accounts (name TEXT)")
        before = file.read_bytes() if file.exists() else None
        monkeypatch.setenv("PORTAL_DATABASE_URL", f"sqlite:///{file}")
        get_settings.cache_clear()
        ended = run_cli("tokens", "add", "nightly", "--role", "admin")
        assert (ended.status, ended.out) == (1, "")
        assert ended.err == NoState(str(file)).message + "\n"
        assert (file.read_bytes() if file.exists() else None) == before
        assert not (nowhere / KEY_FILE).exists()

    @pytest.mark.parametrize("given", ["state", "./x/../state", ""])
    def test_a_folder_that_depends_on_where_one_stands_is_told_whole(
        self,
        run_cli: RunCli,
        nowhere: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        given: str,
    ) -> None:
        """The server's folder by the same words, from another place, is not the server's."""
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        monkeypatch.setenv("PORTAL_DATA_DIR", given)
        get_settings.cache_clear()
        ended = run_cli("tokens", "add", "nightly", "--role", "admin")
        assert (ended.status, ended.out) == (1, "")
        told = re.search(r"There is no state of the portal at (\S+/portal\.sqlite)\.", ended.err)
        assert told is not None, ended.err
        assert Path(told[1]).is_absolute()
        assert not list(here.rglob("*"))

    def test_the_document_names_the_refusal(self, run_cli: RunCli, nowhere: Path) -> None:
        ended = run_cli("tokens", "list", "--json")
        assert json.loads(ended.out)["error"] == "NoState"
        assert not nowhere.exists()

    def test_an_empty_file_is_no_state(self, run_cli: RunCli, nowhere: Path) -> None:
        nowhere.mkdir(parents=True)
        (nowhere / "portal.sqlite").touch()
        assert "There is no state of the portal at" in run_cli("accounts", "list").err
        assert not (nowhere / KEY_FILE).exists()

    def test_doctor_says_so_and_makes_no_database(self, run_cli: RunCli, nowhere: Path) -> None:
        ended = run_cli("doctor")
        assert f"no state yet at {nowhere / 'portal.sqlite'}" in ended.out
        assert ended.status == 0, ended.out
        assert not (nowhere / "portal.sqlite").exists()
        assert not (nowhere / KEY_FILE).exists()

    @pytest.mark.parametrize(
        "arguments", [("--create", "accounts", "list"), ("accounts", "list", "--create")]
    )
    def test_create_makes_it_wherever_the_word_stands(
        self, run_cli: RunCli, nowhere: Path, arguments: tuple[str, ...]
    ) -> None:
        assert run_cli(*arguments).status == 0
        assert (nowhere / "portal.sqlite").exists()
        # It holds for that command line alone.
        (nowhere / "portal.sqlite").unlink()
        forget_databases()
        assert run_cli("accounts", "list").status == 1


class TestInit:
    def test_makes_one_and_leaves_one_that_is_there(self, run_cli: RunCli, nowhere: Path) -> None:
        made = json.loads(run_cli("init", "--json").out)
        assert (made["state"], made["created"]) == (str(nowhere / "portal.sqlite"), True)
        run_cli("tokens", "add", "nightly", "--role", "operator")
        assert json.loads(run_cli("init", "--json").out)["created"] is False
        assert len(json.loads(run_cli("tokens", "list", "--json").out)["items"]) == 1

    def test_on_a_server_the_password_is_not_printed(
        self,
        run_cli: RunCli,
        nowhere: Path,
        postgres_server: PostgresServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        name = postgres_server.create_database()
        url = postgres_server.url(name)
        monkeypatch.setenv("PORTAL_DATABASE_URL", url)
        get_settings.cache_clear()
        refused = run_cli("accounts", "list")
        assert f"/{name}" in refused.err
        assert "There is no state of the portal at postgresql" in refused.err
        assert run_cli("init").status == 0
        assert run_cli("accounts", "list").status == 0
        forget_databases()
        postgres_server.drop_database(name)
