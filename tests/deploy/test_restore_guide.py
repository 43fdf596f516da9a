"""docs/deploy.md's lines for compose, one after the other, on a portal and a worker that run."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from backend.connections import environments
from backend.core import audit, clock
from backend.core.access import SYSTEM
from backend.core.database import Database, forget_databases, get_database
from backend.core.settings import get_settings
from backend.jobs import schedule
from backend.jobs import service as jobs
from backend.models.jobs import Job
from tests.architecture.source import ROOT
from tests.deploy import compose_standin
from tests.fixtures import processes
from tests.fixtures.postgres import PostgresServer

GUIDE = (ROOT / "docs" / "deploy.md").read_text().split("## With compose")[1]
(LINES,) = [
    text.strip().splitlines() for text in GUIDE.split("```") if "pg_restore -U portal" in text
]
LOOK, DUMP, STOP, EMPTY, RESTORE, START = LINES


class Compose:
    """What stands in for the machine that compose runs on."""

    def __init__(self, folder: Path, server: PostgresServer, rabbitmq_url: str) -> None:
        self.folder, self.server = folder, server
        account, _, place = rabbitmq_url.removeprefix("amqp://").partition("@")
        user, _, password = account.partition(":")
        secrets = folder / "secrets"
        secrets.mkdir()
        values = {
            "postgres_password": server.password,
            "rabbitmq_password": password,
            "secret_keys": Fernet.generate_key().decode(),
        }
        for name, value in values.items():
            (secrets / name).write_text(f"{value}\n")
        self.places = {
            "/run/secrets": str(secrets),
            "postgres:5432": f"127.0.0.1:{server.port}",
            "amqp://portal@rabbitmq:5672/": f"amqp://{user}@{place}",
            "/var/lib/portal": str(folder / "volume"),
        }
        assert server.programs is not None
        tools = {
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGPASSWORD": server.password,
            "PATH": f"{server.programs}:{os.environ['PATH']}",
        }
        self.state = folder / "standin.json"
        port = str(processes.free_port())
        document = {
            "places": self.places,
            "servers": {"postgres": tools},
            "dotenv": {"STREAMLIT_SERVER_PORT": port, "PORTAL_SANDBOX": "off"},
            "pids": {},
        }
        self.state.write_text(json.dumps(document))

    def run(self, *lines: str) -> "subprocess.CompletedProcess[str]":
        """The lines in a shell, as they are pasted: one that fails does not stop the next."""
        docker = f'docker() {{ "{sys.executable}" "{compose_standin.__file__}" "$@"; }}'
        return subprocess.run(
            ["bash", "-c", "\n".join((docker, *lines))],
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if "PORTAL_" not in name},
                "COMPOSE_STANDIN": str(self.state),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
        )

    def done(self, *lines: str) -> str:
        done = self.run(*lines)
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        return "".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log")))

    def running(self) -> set[str]:
        return set(json.loads(self.state.read_text())["pids"])

    def new_volume(self) -> None:
        document = json.loads(self.state.read_text())
        document["places"]["/var/lib/portal"] = str(self.folder / "another volume")
        self.state.write_text(json.dumps(document))

    def close(self) -> None:
        for name in self.running():
            with contextlib.suppress(ProcessLookupError):
                self.run(f"docker compose stop {name}")


@pytest.fixture
def compose(tmp_path: Path, rabbitmq_url: str) -> Iterator[Compose]:
    try:
        server = PostgresServer.launch()
    except processes.ServerUnavailable as exc:
        processes.missing("PostgreSQL", str(exc))
    compose = Compose(tmp_path, server, rabbitmq_url)
    yield compose
    compose.close()
    server.close()


@pytest.fixture
def database(compose: Compose, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The portal's state in this process; the database of this name is made anew beneath it."""
    with contextlib.closing(compose.server.connect("postgres")) as connection:
        connection.cursor().execute("CREATE DATABASE portal")
    monkeypatch.setenv("PORTAL_DATABASE_URL", compose.server.url("portal"))
    monkeypatch.setenv("PORTAL_DATA_DIR", str(compose.folder / "volume"))
    monkeypatch.setenv("PORTAL_SECRET_KEYS", (compose.folder / "secrets/secret_keys").read_text())
    forget_databases()
    get_settings.cache_clear()
    yield get_database()
    forget_databases()
    get_settings.cache_clear()


def _environments(database: Database) -> list[str]:
    with database.read() as session:
        return [found.name for found in environments.list_all(session, SYSTEM)]


def _add(database: Database, name: str) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name=name)


def _open_job(database: Database) -> int:
    """One that a worker has, as far as the state tells."""
    with database.write() as session:
        row = Job(
            kind="user_sync.apply", title="Apply", subject="x", arguments={"run_id": 1},
            state="running", resumable=True, actor_id=1, actor_name="ann", actor_role="admin",
            actor_kind="user", created_at=clock.now(), heartbeat_at=clock.now(), worker="elsewhere",
            attempt=1, cancel_requested=False, progress_done=0, note="",
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fresh_dump_comes_back_in_place_and_on_another_machine(
    compose: Compose, database: Database
) -> None:
    compose.done("docker compose up --detach portal worker", LOOK)
    _add(database, "Production")
    job = _open_job(database)
    _wait_for_a_lease(database)
    compose.done(DUMP)
    _add(database, "Later")
    database.dispose()

    said = compose.done(STOP, EMPTY, RESTORE, START)

    assert "The audit log is whole" in said
    assert compose.running() == {"portal", "worker"}
    _is_that_of_the_dump(database, job)

    # What is pasted while something still works on the database ends before the start.
    compose.done("docker compose stop portal")
    refused = compose.run("docker compose run --rm portal python -m backend restore --done && "
                          "docker compose start portal")  # fmt: skip
    assert refused.returncode == 1
    assert "works on this state database right now" in refused.stderr
    assert compose.running() == {"worker"}
    compose.done("docker compose stop worker")

    compose.new_volume()
    database.dispose()
    elsewhere = START.replace("compose start", "compose up --detach")
    assert "The audit log is whole" in compose.done(EMPTY, RESTORE, elsewhere)
    _is_that_of_the_dump(database, job)


def _wait_for_a_lease(database: Database) -> None:
    """The dump is to hold the lease of a process that runs."""
    deadline = time.monotonic() + 60
    while True:
        with database.read() as session:
            if schedule.lease(session) is not None:
                return
        assert time.monotonic() < deadline, "nobody leads"
        time.sleep(0.2)


def _is_that_of_the_dump(database: Database, job: int) -> None:
    assert _environments(database) == ["Production"]
    with database.read() as session:
        assert jobs.get(session, SYSTEM, job_id=job).state == "interrupted"
        last = session.scalars(
            select(audit.AuditEvent).where(audit.AuditEvent.action == "state:backup:restore")
        ).all()
    assert len(last) == 1
