"""kill -9 of the process that runs it, and of the server, at random instants.

After each kill the table holds all tokens or none, and the next start says which.
"""

import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from backend.cli import main
from backend.core.database import Database
from backend.jobs import recovery, runner
from backend.tokenization import service
from backend.tokenization.schemas import RunState, RunView
from tests.backend.tokenization.world import STEWARD, Source, World, customers, make_world
from tests.faults.killing import tell
from tests.fixtures.database import fall_silent
from tests.fixtures.servers import of_its_own

postgres_server = of_its_own("postgres_server")

ROWS = 20_000


def plain_and_tokens(source: Source) -> tuple[int, int]:
    ((plain, tokens),) = source.rows(
        "SELECT count(*) FILTER (WHERE email LIKE '%@%'), "
        "count(*) FILTER (WHERE email LIKE 'tok%poc') FROM customers"
    )
    return plain, tokens


def newest(world: World) -> RunView | None:
    with world.database.read() as session:
        found = service.list_runs(session, STEWARD, limit=1).items
    return found[0] if found else None


def run_it(environment: dict[str, str], urn: str) -> None:
    """In a process of its own: what `tokenize run` does."""
    os.environ.clear()  # of the test that started the server first
    os.environ.update(environment)
    sys.argv = ["backend", "tokenize", "run", urn, "--columns", "email,phone"]
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        status = main.main()
    os._exit(status)


def command(world: World) -> BaseProcess:
    """Started from a server that has everything imported, so that twenty starts are quick."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.backend.tokenization.test_killed"])
    arguments = (dict(os.environ), world.source.urn("customers"))
    process = context.Process(target=run_it, args=arguments)
    process.start()
    return process


def ended(process: BaseProcess, seconds: float) -> int:
    process.join(seconds)
    assert process.exitcode is not None
    return process.exitcode


def next_start(world: World) -> None:
    """What a portal does with what it finds a minute later: take the job back and run it."""
    fall_silent(world.database)
    for job_id in recovery.recover(world.database, at_start=True):
        runner.run(job_id, world.database)


@pytest.mark.slow
@pytest.mark.kills(10)  # some of the instants come after the end
@pytest.mark.timeout(600)
def test_at_twenty_random_instants_the_table_is_whole_and_the_next_start_says_what_happened(
    database: Database, source: Source, request: pytest.FixtureRequest
) -> None:
    customers(source, rows=ROWS)
    world = make_world(database, source)
    chance = random.Random(20)
    states: list[str] = []
    deaths = 0
    span = time_of_one_run(world)
    for _ in range(20):
        source.run("TRUNCATE customers", *refill())
        before = newest(world)
        deaths += killed_at(world, before, chance.uniform(0, span))
        next_start(world)

        plain, tokens = plain_and_tokens(source)
        assert (plain, tokens) in ((ROWS, 0), (0, ROWS))
        run = newest(world)
        if run is None or (before and run.id == before.id):
            states.append("not even queued")
            continue
        committed = tokens == ROWS
        assert run.state is (RunState.SUCCEEDED if committed else RunState.INTERRUPTED)
        assert run.rows_updated == (ROWS if committed else 0)
        states.append(run.state.value)
    tell(request, deaths)
    assert "interrupted" in states, states


def refill() -> list[str]:
    return [
        "INSERT INTO customers SELECT n, 'Person', 'person' || n || '@example.org', '+49' || n "
        f"FROM generate_series(1, {ROWS}) AS n"
    ]


def time_of_one_run(world: World) -> float:
    """Seconds between the run's start and its end, and a little more, on this machine now."""
    process = command(world)
    assert ended(process, 120) == 0
    run = newest(world)
    assert run is not None
    assert run.seconds is not None
    return run.seconds * 1.3


def killed_at(world: World, before: RunView | None, delay: float) -> bool:
    """Start a run in its own process and kill -9 it `delay` seconds after the run has begun;
    whether it had not ended before."""
    process = command(world)
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        run = newest(world)
        if run and (not before or run.id > before.id) and run.state is not RunState.QUEUED:
            break
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_a_server_restart_in_the_middle_rolls_back_and_says_so(
    database: Database, source: Source, postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.tokenization.engines.postgres import rewrite

    customers(source, rows=2_000)
    world = make_world(database, source)
    monkeypatch.setattr(rewrite, "FIRST_BATCH_BLOCKS", 2)
    monkeypatch.setattr(rewrite, "_BATCH_SECONDS", 0.0)  # batches must not grow
    original = rewrite._update
    calls: list[int] = []

    def restart_at_the_fifth(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            postgres_server.restart()
        return original(*arguments)

    monkeypatch.setattr(rewrite, "_update", restart_at_the_fifth)

    run = world.work(world.start("customers", "email"))

    assert run.state is RunState.FAILED
    assert "PostgreSQL" in run.details
    assert plain_and_tokens(source) == (2_000, 0)
    monkeypatch.setattr(rewrite, "_update", original)
    assert world.work(world.start("customers", "email")).rows_updated == 2_000


@pytest.mark.slow
def test_two_workers_at_once_run_one_table_once(database: Database, source: Source) -> None:
    customers(source, rows=ROWS)
    world = make_world(database, source)

    processes = [command(world) for _ in range(2)]
    statuses = sorted(ended(process, 120) for process in processes)

    with world.database.read() as session:
        runs = service.list_runs(session, STEWARD).items
    assert plain_and_tokens(source) == (0, ROWS)
    assert sum(run.rows_updated or 0 for run in runs) == ROWS
    # Either one was refused as a conflict, or it came so late that it had nothing left to do.
    assert statuses in ([0, 1], [0, 0])
