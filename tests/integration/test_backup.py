"""The README's own commands: back up while the portal runs, restore, sign in as before."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page

from backend.connections import environments, resolve
from backend.connections import service as connections
from backend.core import audit, crypto, secret_store, startup
from backend.core.access import SYSTEM
from backend.core.database import Database, forget_databases, get_database
from backend.core.settings import get_settings
from tests.architecture.source import ROOT
from tests.fixtures import processes
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.portal import Portal, running_portal
from tests.fixtures.postgres import PostgresServer

SECRET = "planted-token-of-production"
_SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Upgrade, back up, restore")[1]
_TEXTS = re.findall(r"^```\n(.*?)^```$", _SECTION.split("\n## ")[0], re.MULTILINE | re.DOTALL)
BACKUP, RESTORE, PG_BACKUP, PG_RESTORE, MARIADB_BACKUP, MARIADB_RESTORE = _TEXTS


def _run(
    commands: str, environ: Mapping[str, str], folder: Path, *, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """The README's lines in a shell that stops at the first failure."""
    done = subprocess.run(
        ["bash", "-ec", commands.replace(".venv/bin/python", sys.executable)],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if check:
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
@pytest.mark.browser
def test_a_running_portal_moves_to_a_new_folder(
    tmp_path: Path, browser_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_portal(_made(tmp_path / "old")) as old:
        _fill(_state_of(old, monkeypatch))
        _run(BACKUP, old.environ, tmp_path)
        refused = _run(f"{RESTORE.splitlines()[0]} --replace", old.environ, tmp_path, check=False)
        assert refused.returncode == 1
        assert "Nothing was changed. Stop the portal and its workers" in refused.stderr

    folder = _made(tmp_path / "new")
    environ = {**old.environ, "PORTAL_DATA_DIR": str(folder / "state")}
    assert "The audit log is whole" in _run(RESTORE, environ, tmp_path).stdout
    with running_portal(folder, PORTAL_ADMIN_PASSWORD="another one than before") as new:
        new.sign_in(browser_page, "admin")  # with the old one
    with _state_of(new, monkeypatch).read() as session:
        found = resolve.connection(session, environment="Production", kind="datahub")
    assert found.secrets["token"] == SECRET
    forget_databases()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _state_of(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The portal's state database and keys, in this process."""
    forget_databases()
    monkeypatch.setenv("PORTAL_DATA_DIR", portal.environ["PORTAL_DATA_DIR"])
    get_settings.cache_clear()
    return get_database()


def _fill(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Production")
        connections.save(
            session,
            SYSTEM,
            environment="Production",
            kind="datahub",
            settings={"server": "http://gms.example"},
            secrets_in={"token": SECRET},
        )
    forget_databases()


class _Server:
    """One database of a server: its URL, and how to empty it."""

    def __init__(self, server: PostgresServer | MariaDBServer, environ: dict[str, str]) -> None:
        self._server = server
        self.name = server.create_database()
        self.environ = {**environ, "PORTAL_DATABASE_URL": server.url(self.name)}

    def empty(self) -> None:
        self._server.drop_database(self.name)
        if isinstance(self._server, PostgresServer):
            with_name = f'CREATE DATABASE "{self.name}"'
            connection = self._server.connect("postgres")
        else:
            with_name = f"CREATE DATABASE `{self.name}` CHARACTER SET utf8mb4"
            connection = self._server.connect()
        try:
            connection.cursor().execute(with_name)
        finally:
            connection.close()

    def close(self) -> None:
        self._server.drop_database(self.name)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PORTAL_DATA_DIR": str(tmp_path / "state"),
        "PORTAL_SECRET_KEYS": crypto.Fernet.generate_key().decode(),
    }


@pytest.fixture
def postgres(postgres_server: PostgresServer, environ: dict[str, str]) -> Iterator[_Server]:
    environ.update(
        PGHOST=postgres_server.host,
        PGPORT=str(postgres_server.port),
        PGUSER=postgres_server.user,
        PGPASSWORD=postgres_server.password,
    )
    if postgres_server.programs is not None:
        environ["PATH"] = f"{postgres_server.programs}:{environ['PATH']}"
    server = _Server(postgres_server, environ)
    yield server
    server.close()


@pytest.fixture
def mariadb(
    mariadb_server: MariaDBServer, environ: dict[str, str], tmp_path: Path
) -> Iterator[_Server]:
    # What the README tells an operator to call. The server needs neither.
    try:
        for tool, package in (
            ("mariadb-dump", "mariadb-client"),
            ("mariadb", "mariadb-client-core"),
        ):
            processes.program(tool, package=package)
    except processes.ServerUnavailable as exc:
        processes.missing("MariaDB's own back-up tool", str(exc))
    (tmp_path / ".my.cnf").write_text(
        f"[client]\nhost={mariadb_server.host}\nport={mariadb_server.port}\n"
        f"user={mariadb_server.user}\npassword={mariadb_server.password}\nprotocol=tcp\n"
    )
    environ["HOME"] = str(tmp_path)
    server = _Server(mariadb_server, environ)
    yield server
    server.close()


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[_Server], Database]]:
    """within(server) → the state database there, in this process."""

    def enter(server: _Server) -> Database:
        for name in ("PORTAL_DATA_DIR", "PORTAL_DATABASE_URL", "PORTAL_SECRET_KEYS"):
            monkeypatch.setenv(name, server.environ[name])
        get_settings.cache_clear()
        database = get_database()
        startup.prepare(database, secret_store.get_vault())
        return database

    yield enter
    forget_databases()
    get_settings.cache_clear()


@pytest.mark.slow
class TestServersOwnTools:
    def test_postgresql(self, postgres: _Server, within, tmp_path: Path) -> None:
        _there_and_back(postgres, within, (PG_BACKUP, PG_RESTORE), tmp_path)

    def test_mariadb(self, mariadb: _Server, within, tmp_path: Path) -> None:
        _there_and_back(mariadb, within, (MARIADB_BACKUP, MARIADB_RESTORE), tmp_path)


def _there_and_back(
    server: _Server,
    within: Callable[[_Server], Database],
    commands: tuple[str, str],
    folder: Path,
) -> None:
    backup, restore = (
        re.sub(r"(?<=dbname=)portal\b|(?<= )portal(?= [<>])", server.name, text)
        for text in commands
    )
    database = within(server)
    with database.write() as session:
        environments.add(session, SYSTEM, name="Production")
    _run(backup, server.environ, folder)
    with database.write() as session:
        environments.add(session, SYSTEM, name="Later")
    forget_databases()
    server.empty()
    assert "The audit log is whole" in _run(restore, server.environ, folder).stdout
    with within(server).read() as session:
        assert [found.name for found in environments.list_all(session, SYSTEM)] == ["Production"]
        assert audit.verify(session).ok
