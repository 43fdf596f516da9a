"""`python -m benchmarks.faults kills`: workers that share a host name and a process id are killed.

Each worker lives in a process-id namespace of its own (as containers with host networking do), so
all of them are process 1 of one host name. Jobs of several steps and jobs that may not run twice
are given out all the time, and one worker after the other is killed with SIGKILL and replaced.
PostgreSQL holds the state, RabbitMQ hands the jobs out; only the heartbeat's age is waited for.
"""

import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import _servers
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.rabbitmq import RabbitMQServer

STEPS = 60  # 3 s at least
LAST_SECONDS = 300


@dataclass
class Outcome:
    """states: jobs by their end. problems: what was done twice, left out or never ended."""

    jobs: int = 0
    kills: int = 0
    in_work: int = 0
    retried: int = 0
    states: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def run(*, workers: int, kills: int) -> Outcome:
    """Kill `kills` of the workers, one at a time, and look at every job afterwards."""
    with ExitStack() as stack:
        folder = stack.enter_context(_servers.folder("kills"))
        postgres = stack.enter_context(closing(PostgresServer.launch()))
        rabbitmq = stack.enter_context(closing(RabbitMQServer.launch()))
        os.environ.update(
            PORTAL_DATA_DIR=str(folder),
            PORTAL_DATABASE_URL=postgres.url(postgres.create_database()),
            PORTAL_BROKER_URL=rabbitmq.url(rabbitmq.take_vhost()),
            PORTAL_SANDBOX="off",
            DATAHUB_TELEMETRY_ENABLED="false",
        )
        crew = stack.enter_context(closing(Crew(folder, workers)))
        return _round(folder, crew, kills)


class Crew:
    """The workers. Killing the one in front is killing its whole namespace."""

    def __init__(self, folder: Path, count: int) -> None:
        _prepare()
        self._log = (folder / "workers.log").open("wb")
        self._all = [self._start() for _ in range(count)]

    def _start(self) -> "subprocess.Popen[bytes]":
        alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*alone, sys.executable, "-m", "tests.integration.worker_process"]
        return subprocess.Popen(
            command, cwd=_servers.ROOT, stdout=self._log, stderr=self._log, env=dict(os.environ)
        )

    def kill_one(self) -> None:
        chosen = random.randrange(len(self._all))
        self._all[chosen].kill()
        self._all[chosen].wait()
        self._all[chosen] = self._start()

    def close(self) -> None:
        for process in self._all:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        self._log.close()


def _prepare() -> None:
    """The state's schema and keys, before several processes start on it."""
    from backend import composition
    from backend.core import secret_store
    from backend.core.database import get_database
    from backend.migrations import runner

    composition.install()
    runner.upgrade(get_database())
    secret_store.ensure(get_database(), secret_store.get_vault())


def _round(folder: Path, crew: Crew, kills: int) -> Outcome:
    from backend.core.database import get_database

    database, outcome = get_database(), Outcome()
    files: dict[int, Path] = {}
    while outcome.kills < kills:
        for kind in ("test.steps", "test.steps", "test.once"):
            file = folder / f"{kind}-{len(files)}"
            files[_queue(database, kind, file)] = file
        begun = sum(file.exists() for file in files.values())
        _wait(lambda: sum(f.exists() for f in files.values()) > begun, 120)  # noqa: B023 - called at once
        time.sleep(random.uniform(0.2, 1.5))
        outcome.in_work += _running(database) > 0
        crew.kill_one()
        outcome.kills += 1
    _wait(lambda: not _open(database), LAST_SECONDS)
    _judge(database, files, outcome)
    return outcome


def _queue(database: object, kind: str, file: Path) -> int:
    from backend.core.access import SYSTEM
    from backend.jobs.enqueue import enqueue
    from tests.integration import worker_process

    assert worker_process.steps
    arguments = {"file": str(file), **({"count": STEPS} if kind == "test.steps" else {})}
    with database.write() as session:  # type: ignore[attr-defined]  # imported late, like all of backend
        return enqueue(session, SYSTEM, kind, arguments, subject="a kill", environment="")


def _states(database: object) -> dict[int, tuple[str, str, int]]:
    from sqlalchemy import select

    from backend.models import Job

    with database.read() as session:  # type: ignore[attr-defined]  # as above
        rows = session.scalars(select(Job).where(Job.kind.startswith("test.")))
        return {row.id: (row.kind, row.state, row.attempt) for row in rows}


def _open(database: object) -> int:
    return sum(state in ("queued", "running") for _, state, _ in _states(database).values())


def _running(database: object) -> int:
    return sum(state == "running" for _, state, _ in _states(database).values())


def _wait(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # type: ignore[operator]  # a callable
        time.sleep(0.25)


def _judge(database: object, files: dict[int, Path], outcome: Outcome) -> None:
    found = _states(database)
    for number, (kind, state, attempt) in found.items():
        lines = files[number].read_text().splitlines() if files[number].exists() else []
        outcome.jobs += 1
        outcome.retried += attempt > 1
        name = f"{kind} {state}"
        outcome.states[name] = outcome.states.get(name, 0) + 1
        steps = [int(line.split()[3]) for line in lines] if kind == "test.steps" else []
        if state in ("queued", "running"):
            outcome.problems.append(f"job {number} ({kind}) never ended: {state}")
        elif kind == "test.once" and len(lines) != 1:
            outcome.problems.append(f"job {number} began {len(lines)} times, ended {state}")
        elif kind == "test.steps" and steps != list(range(STEPS)):
            outcome.problems.append(f"job {number} did the steps {steps}, ended {state}")


def text(outcome: Outcome) -> str:
    ends = ", ".join(f"{count} {name}" for name, count in sorted(outcome.states.items()))
    lines = [
        f"{outcome.kills} kills, {outcome.in_work} while jobs were in work; "
        f"{outcome.jobs} jobs: {ends}; {outcome.retried} of them went on in another worker.",
        *outcome.problems,
        "Something was doubled or lost." if outcome.problems else "Nothing doubled, nothing lost.",
    ]
    return "\n".join(lines)
