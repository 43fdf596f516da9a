"""Worker processes on RabbitMQ: shared work, kill -9, pick-up; nothing lost, nothing doubled."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.connections import environments
from backend.core import secret_store
from backend.core.access import SYSTEM
from backend.core.database import Database, get_database
from backend.core.settings import get_settings
from backend.jobs import broker, recovery, schedule, service
from backend.jobs.enqueue import enqueue
from backend.jobs.schemas import JobView
from backend.migrations import runner as migrations
from tests.fixtures.database import fall_silent
from tests.integration import worker_process

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def shared(
    request: pytest.FixtureRequest,
    data_dir: Path,
    postgres_url: str,
    rabbitmq_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Database]:
    """The state database on PostgreSQL and jobs on RabbitMQ, as on many machines."""
    monkeypatch.setenv("PORTAL_DATABASE_URL", postgres_url)
    monkeypatch.setenv("PORTAL_BROKER_URL", rabbitmq_url)
    get_settings.cache_clear()
    broker.reset()
    database = get_database()
    migrations.upgrade(database)
    secret_store.ensure(database, secret_store.get_vault())
    yield database
    broker.reset()
    database.dispose()


@pytest.fixture
def start_worker(shared: Database, data_dir: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []
    log = (data_dir / "worker.log").open("wb")

    def start(*how: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.worker_process", *how],
            cwd=ROOT,
            env=dict(os.environ),
            stdout=log,
            stderr=log,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(60)
    log.close()


def _queue(
    database: Database, kind: str, *, environment: str | None = "", **arguments: object
) -> int:
    assert worker_process.steps
    with database.write() as session:
        return enqueue(session, SYSTEM, kind, arguments, subject="a test", environment=environment)


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)


def _get(database: Database, job_id: int) -> JobView:
    with database.read() as session:
        return service.get(session, SYSTEM, job_id=job_id)


@pytest.mark.slow
class TestWorkers:
    def test_a_killed_workers_job_is_finished_by_another_without_repeating_a_step(
        self, shared: Database, start_worker: Start, tmp_path: Path
    ) -> None:
        file = tmp_path / "steps"
        first = start_worker()
        job_id = _queue(shared, "test.steps", file=str(file), count=60, held=5)
        _wait_for(lambda: file.exists() and len(file.read_text().splitlines()) >= 5, "5 steps")
        first.kill()
        first.wait(60)
        fall_silent(shared)
        start_worker()
        assert service.wait(shared, job_id, timeout=240).state == "succeeded"
        steps = [line.split() for line in file.read_text().splitlines()]
        assert [int(step[3]) for step in steps] == list(range(60))
        assert {step[1] for step in steps} == {"1", "2"}

    def test_a_killed_workers_job_that_may_not_run_twice_is_marked(
        self, shared: Database, start_worker: Start, tmp_path: Path
    ) -> None:
        file = tmp_path / "once"
        first = start_worker()
        job_id = _queue(shared, "test.once", file=str(file))
        _wait_for(lambda: file.exists() and file.read_text() != "", "the job starts")
        first.kill()
        first.wait(60)
        fall_silent(shared)
        recovery.recover(shared)
        view = _get(shared, job_id)
        assert (view.state, view.error) == (
            "interrupted",
            "The process that ran this job died before it ended.",
        )
        assert len(file.read_text().splitlines()) == 1

    def test_three_workers_share_twenty_jobs_and_each_runs_once(
        self, shared: Database, start_worker: Start, tmp_path: Path
    ) -> None:
        for _ in range(3):
            start_worker()
        jobs = {
            _queue(shared, "test.steps", file=str(tmp_path / f"job-{n}"), count=5): n
            for n in range(20)
        }
        for job_id in jobs:
            assert service.wait(shared, job_id, timeout=240).state == "succeeded"
        for number in jobs.values():
            lines = (tmp_path / f"job-{number}").read_text().splitlines()
            assert [line.split()[3] for line in lines] == list("01234")

    def test_the_sandboxs_jobs_and_the_schedule_are_the_hosts_whatever_the_number_of_workers(
        self, shared: Database, start_worker: Start, tmp_path: Path
    ) -> None:
        with shared.write() as session:
            environments.add(session, SYSTEM, name="Sandbox", is_sandbox=True)
            environments.add(session, SYSTEM, name="prod")
        workers = [start_worker(), start_worker()]
        folder = tmp_path / "steps"
        folder.mkdir()
        asked = {}
        for environment in ("Sandbox", "prod", None):
            for number in range(6):
                file = folder / f"{environment}-{number}"
                job_id = _queue(
                    shared, "test.steps", environment=environment, file=str(file), count=3
                )
                asked[job_id] = environment
        elsewhere = [job_id for job_id, where in asked.items() if where == "prod"]
        for job_id in elsewhere:
            assert service.wait(shared, job_id, timeout=240).state == "succeeded"
        others = [job_id for job_id in asked if job_id not in elsewhere]
        assert {_get(shared, job_id).state for job_id in others} == {"queued"}
        host = start_worker("host")
        for job_id in others:
            assert service.wait(shared, job_id, timeout=240).state == "succeeded"
        ran = {file: file.read_text().split()[2] for file in folder.iterdir()}
        by_host = {
            file.name.rpartition("-")[0] for file, pid in ran.items() if pid == str(host.pid)
        }
        assert by_host == {"Sandbox", "None"}
        by_workers = [file.name for file, pid in ran.items() if pid != str(host.pid)]
        assert len(by_workers) == 6
        assert all(name.startswith("prod-") for name in by_workers)

        def leader_pid() -> int:
            with shared.read() as session:
                return int((schedule.leader(session) or ":0:").split(":")[1])

        _wait_for(lambda: leader_pid() == host.pid, "the host leads")
        host.terminate()
        assert host.wait(60) == 0
        _wait_for(lambda: leader_pid() in {each.pid for each in workers}, "a worker leads")

    def test_sigterm_hands_a_running_job_to_the_next_worker(
        self, shared: Database, start_worker: Start, tmp_path: Path
    ) -> None:
        file = tmp_path / "steps"
        first = start_worker()
        job_id = _queue(shared, "test.steps", file=str(file), count=60, held=3)
        _wait_for(lambda: file.exists() and len(file.read_text().splitlines()) >= 3, "3 steps")
        first.terminate()
        assert first.wait(60) == 0
        assert _get(shared, job_id).state == "queued"
        start_worker()
        _wait_for(lambda: bool(recovery.recover(shared)) or _get(shared, job_id).ended, "pick-up")
        assert service.wait(shared, job_id, timeout=240).state == "succeeded"
        numbers = [int(line.split()[3]) for line in file.read_text().splitlines()]
        assert numbers == list(range(60))

    def test_sigterm_ends_a_worker_whose_job_reaches_no_safe_point(
        self, shared: Database, start_worker: Start, tmp_path: Path
    ) -> None:
        """Within what a supervisor gives it, and of its own accord: 0, not the -9 of a kill."""
        file = tmp_path / "deaf"
        first = start_worker()
        job_id = _queue(shared, "test.deaf", file=str(file))
        _wait_for(file.exists, "the job starts")
        first.terminate()
        assert first.wait(120) == 0
        fall_silent(shared)
        recovery.recover(shared)
        assert _get(shared, job_id).state == "interrupted"
