"""SIGTERM at any moment of the start: status 0, no process left, and the next start is whole."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.core.database import Database
from backend.jobs.remote import AWAY, BACK
from backend.sandbox.embedded_postgres import reachable_folder
from tests.fixtures import processes
from tests.fixtures.rabbitmq import RabbitMQServer
from tests.integration import test_workers

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 150
shared = test_workers.shared
#: Each start has a log of its own: what the one before it said is no sign of how far this one is.
_starts = itertools.count()


class Start:
    """A portal or a worker that starts on a folder of its own."""

    def __init__(self, folder: Path, *command: str, **environ: str) -> None:
        self.folder = folder
        self.log = folder / f"log.{next(_starts)}"
        self.environ = {
            **os.environ,
            "PORTAL_DATA_DIR": str(folder / "state"),
            "PORTAL_ADMIN_PASSWORD": "a long pass phrase of tests",
            "PORTAL_SANDBOX": "on",
            **environ,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        # Before that it is the interpreter that starts, and nobody can obey.
        self.wait_for(self._listens)

    def _listens(self) -> bool:
        """Whether the process has a handler of its own for SIGTERM."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) & (1 << (signal.SIGTERM - 1)))

    @property
    def sandbox(self) -> Path:
        return self.folder / "state/sandbox"

    @property
    def postgres(self) -> Path:
        own = self.sandbox / "postgres"
        return reachable_folder(own) if os.geteuid() == 0 else own

    def said(self, words: str) -> bool:
        return words in self.log.read_text(errors="replace")

    def count(self, words: str) -> int:
        return self.log.read_text(errors="replace").count(words)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.02)

    def ends_well(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        words = self.log.read_text(errors="replace")
        assert status == 0, words[-3000:]
        assert "Traceback" not in words, words[-6000:]
        deadline = time.monotonic() + PATIENCE
        while left := self.children():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def children(self) -> list[str]:
        """Command lines of the processes that have this folder in their environment."""
        mark = f"PORTAL_DATA_DIR={self.folder / 'state'}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has ended, or is somebody else's
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Start]]:
    started: list[Start] = []

    def begin(*command: str, **environ: str) -> Start:
        started.append(Start(tmp_path, *command, **environ))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(60)
        shutil.rmtree(each.postgres, ignore_errors=True)


def _portal(start: Callable[..., Start], *how: str) -> Start:
    return start(*how, "--server.port", str(processes.free_port()))


MOMENTS: dict[str, Callable[[Start], bool]] = {
    "the server is imported": lambda it: it.said("URL:"),
    "the state is made": lambda it: any((it.folder / "state").glob("*.sqlite*")),
    "the sandbox begins": lambda it: any("backend.sandbox" in each for each in it.children()),
    # Under its first name or, for who looks late, its last.
    "its cluster is made": lambda it: any(it.postgres.glob("data*")),
    "its server starts": lambda it: (it.postgres / "data/postmaster.pid").exists(),
    "its connections are tested": lambda it: it.said("The sandbox is ready."),
}


@pytest.mark.slow
class TestPortal:
    @pytest.mark.parametrize("moment", MOMENTS)
    def test_ends_well_when(self, start: Callable[..., Start], moment: str) -> None:
        portal = _portal(start, "auth.serve")
        portal.wait_for(lambda: MOMENTS[moment](portal))
        portal.ends_well()

    @pytest.mark.parametrize("moment", ["the state is made", "its cluster is made"])
    def test_ends_well_under_streamlits_own_command(
        self, start: Callable[..., Start], moment: str
    ) -> None:
        """Not before it has imported app.py: until then the process is Streamlit's alone."""
        portal = _portal(start, "streamlit", "run", "app.py")
        portal.wait_for(lambda: MOMENTS[moment](portal))
        portal.ends_well()

    def test_ends_although_something_never_returns(self, start: Callable[..., Start]) -> None:
        """Its sandbox with it, which nobody told."""
        portal = _portal(start, "tests.integration.standing_portal")
        portal.wait_for(lambda: portal.said("The sandbox is ready."))
        portal.ends_well()
        assert portal.said("Ends with work under way")

    def test_ends_well_whenever(self, start: Callable[..., Start]) -> None:
        """On one folder, so that each start finds what the one before it had half made."""
        for _ in range(4):
            until = time.monotonic() + random.uniform(0.2, 9)
            portal = _portal(start, "auth.serve")
            portal.wait_for(lambda until=until: time.monotonic() > until)
            portal.ends_well()
        portal = _portal(start, "auth.serve")
        portal.wait_for(lambda: portal.said("The sandbox is ready."))
        assert not portal.said("A part of the sandbox is missing")
        portal.ends_well()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.0, 4.0, None])
def test_a_worker_ends_well(
    start: Callable[..., Start], shared: Database, seconds: float | None
) -> None:
    """None: once it is ready."""
    worker = start("backend", "worker")
    until = time.monotonic() + (seconds or 0)
    worker.wait_for(
        lambda: worker.said("Worker is ready.") if seconds is None else time.monotonic() > until
    )
    worker.ends_well()


@pytest.mark.slow
def test_a_worker_says_that_its_broker_is_away_and_that_it_is_back(
    start: Callable[..., Start], postgres_url: str, own_rabbitmq_server: RabbitMQServer
) -> None:
    broker = own_rabbitmq_server
    settings = {"PORTAL_DATABASE_URL": postgres_url, "PORTAL_BROKER_URL": broker.url()}
    broker.stop()
    try:
        worker = start("backend", "worker", "--create", **settings)
        worker.wait_for(lambda: worker.said(AWAY))
        assert broker_problems(worker.environ) == 1
        assert not worker.said("Worker is ready.")
        broker.start()
        worker.wait_for(lambda: worker.said("Worker is ready.") and worker.said(BACK))
        broker.stop()
        worker.wait_for(lambda: worker.count(AWAY) == 2)
        broker.start()
        worker.wait_for(lambda: worker.count(BACK) == 2)
        worker.ends_well()
    finally:
        if not broker.answers():
            broker.restart()
    assert (worker.count(AWAY), worker.count("Worker is ready.")) == (2, 1)
    assert not worker.said("connection error")


def broker_problems(environ: dict[str, str]) -> int:
    """How many `doctor` has with the broker."""
    command = [sys.executable, "-m", "backend", "doctor"]
    asked = subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert asked.returncode == 1
    return asked.stdout.count(f"PROBLEM: {AWAY}")
