"""The portal's own database locked or full in the middle of each job: honest and whole."""

import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, text

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database, StateDatabaseDown
from backend.core.errors import PortalError
from backend.dms.client import DMSClient
from backend.ingestion import runs
from backend.ingestion import service as ingestion
from backend.ingestion.errors import AlreadyRunning
from backend.ingestion.schemas import Request
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.mounts import actions
from backend.sandbox.aws import AwsStandIn
from backend.tokenization import write_back
from backend.tokenization.schemas import RunState
from backend.user_sync import service as user_sync
from tests.backend.ingestion.conftest import URN, AddRule, add_rule, aws, aws_server, environment
from tests.backend.tokenization.conftest import catalogued, gms, source
from tests.backend.tokenization.test_reconcile import plain
from tests.backend.tokenization.world import Source, customers, make_world
from tests.backend.tokenization.world import World as TokenWorld
from tests.backend.user_sync.conftest import World, _no_pauses, directory, many, om, world
from tests.faults.conftest import Note
from tests.faults.matrix import STATE_FAULTS, Cell
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

__all__ = [
    "_no_pauses", "add_rule", "aws", "aws_server", "catalogued", "directory", "environment",
    "gms", "many", "om", "source", "world",
]  # fmt: skip
STATE = "State database"


class Breaker:
    """Breaks the state database for every connection of the process, and mends it."""

    def __init__(self, database: Database) -> None:
        self._path = str(database.engine.url.database)
        event.listen(database.engine, "connect", self._impatient)
        database.engine.dispose()
        self._holder = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.broken = ""

    def _impatient(self, connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout=100")

    def break_(self, fault: str) -> None:
        self._holder.execute("PRAGMA busy_timeout=5000")
        self.broken = fault
        if fault == "locked":
            self._holder.execute("BEGIN IMMEDIATE")
            return
        # No file of this process may grow beyond one page: the log of the database is full.
        self._holder.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, self._limits[1]))

    def mend(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        if self._holder.in_transaction:
            self._holder.rollback()
        self.broken = ""

    def close(self) -> None:
        self.mend()
        self._holder.close()


@pytest.fixture
def breaker(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaker]:
    """Mended when the runner has failed to record a job's end once and waits to try again."""
    made = Breaker(database)

    def sleep(seconds: float) -> None:
        if seconds and made.broken:
            made.mend()

    monkeypatch.setattr(runner, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    yield made
    made.close()


@pytest.fixture(params=STATE_FAULTS)
def fault(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def whole(database: Database) -> None:
    with database.read() as session:
        assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_page_save(database: Database, breaker: Breaker, note: Note, fault: str) -> None:
    breaker.break_(fault)
    with pytest.raises(StateDatabaseDown) as told, database.write() as session:
        for number in range(200):
            environments.add(session, SYSTEM, name=f"env-{number}")
    assert told.value.status == 503
    with database.read() as session:
        assert environments.list_all(session, SYSTEM) == ()
    breaker.mend()
    with database.write() as session:
        environments.add(session, SYSTEM, name="prod")
    whole(database)
    note(Cell("page save", STATE, fault), sees=told.value.message, stored="nothing; pages read on")


def finished(database: Database, job_id: int | None) -> jobs.JobView:
    assert job_id is not None
    runner.run(job_id, database)
    with database.read() as session:
        return jobs.get(session, SYSTEM, job_id=job_id)


def test_user_sync_plan(
    many: Callable[[int], World], breaker: Breaker, note: Note, fault: str
) -> None:
    world = many(20)
    original = world.om.server._answer

    def answer(request: Any) -> Any:
        if "/users" in request.path and not breaker.broken:
            breaker.break_(fault)
        return original(request)

    world.om.server._answer = answer
    with pytest.raises(StateDatabaseDown) as told:
        world.plan()
    world.om.server._answer = original
    breaker.mend()
    with world.database.read() as session:
        [left] = user_sync.list_plans(session, world.steward)
    assert left.state == "planning"
    assert world.plan().state == "ready"
    whole(world.database)
    note(
        Cell("user sync plan", STATE, fault),
        sees=told.value.message,
        stored="the plan stays unfinished and is cleared later; planned again, it is ready",
    )


def test_user_sync_apply(
    many: Callable[[int], World], breaker: Breaker, note: Note, fault: str
) -> None:
    world = many(20)
    plan = world.plan()
    with world.database.write() as session:
        run = user_sync.apply(session, world.steward, plan_id=plan.id)
    original = world.om.server._answer
    seen: list[str] = []

    def answer(request: Any) -> Any:
        if request.method == "PATCH" and len(request.body) > 2:
            seen.append(request.path)
            if len(seen) == 6:
                breaker.break_(fault)
        return original(request)

    world.om.server._answer = answer
    ended = finished(world.database, run.job_id)
    assert ended.state == "failed"
    with world.database.read() as session:
        left = user_sync.get_run(session, world.steward, run_id=run.id)
    assert left.counts.get("applied", 0) < 20
    continued = continue_run(world, run.id)
    assert continued.counts == {"applied": 20}
    assert len(seen) == len(set(seen)) == 20
    whole(world.database)
    note(
        Cell("user sync apply", STATE, fault),
        sees=ended.error,
        stored=f"job failed, run {left.state}: {left.counts}; then 20 applied, each sent once",
    )


def continue_run(world: World, run_id: int) -> Any:
    """The schedule stops it, two minutes after it was last heard of; then somebody continues it."""
    from datetime import timedelta

    from sqlalchemy import update

    from backend.core import clock
    from backend.models import SyncRun
    from backend.user_sync import tasks

    with world.database.write() as session:
        session.execute(update(SyncRun).values(heartbeat_at=clock.now() - timedelta(minutes=3)))
    tasks.stop_abandoned_runs(world.database)
    with world.database.write() as session:
        user_sync.resume(session, world.steward, run_id=run_id, background=False)
    return user_sync.execute(world.database, world.steward, run_id=run_id)


def test_mount(
    database: Database, lab: MountsEnvironment, breaker: Breaker, note: Note, fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    original = actions._call

    def call(*arguments: Any) -> Any:
        response = original(*arguments)
        breaker.break_(fault)
        return response

    monkeypatch.setattr(actions, "_call", call)
    request = mount_request(jobid=1, target="fresh", host="compute-02")
    job_id = actions.submit(database, SYSTEM, kind="mount", request=request)
    ended = finished(database, job_id)
    assert ended.state == "failed"
    assert not runner.run(job_id, database)
    with DMSClient(lab.ledger_url, lab.broker_url, 60) as client:
        held = [m for m in client.get_active_mounts() if m.backup_target_id == "fresh"]
    assert [entry.jobid for entry in held] == [1]
    whole(database)
    note(
        Cell("mount", STATE, fault),
        sees=ended.error,
        stored="job failed, audit has the intent, the ledger has the mount; not sent again",
    )


def test_tokenize(
    database: Database, source: Source, breaker: Breaker, note: Note, fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from backend.tokenization import tasks
    from backend.tokenization.engines.postgres import rewrite

    customers(source)
    world = make_world(database, source)
    run = world.start("customers", "email")
    original = rewrite.commit

    def commit(connection: Any) -> None:
        original(connection)
        breaker.break_(fault)

    monkeypatch.setattr(rewrite, "commit", commit)
    ended = finished(database, run.job_id)
    assert ended.state == "failed"
    left = world.view(run.id).state
    assert left in (RunState.RUNNING, RunState.UNKNOWN)
    assert plain(world) == 0
    tasks.reconcile_abandoned(database)
    settled = world.view(run.id)
    assert (settled.state, settled.rows_updated) == (RunState.SUCCEEDED, 50)
    whole(database)
    note(
        Cell("tokenize", STATE, fault),
        sees=ended.error,
        stored=f"job failed, run {left.value}; a minute later PostgreSQL confirms: succeeded, 50",
    )


def test_write_back(
    catalogued: TokenWorld, breaker: Breaker, note: Note, fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = catalogued.start("customers")
    with catalogued.gms.faults.inject(status=500):
        assert catalogued.work(run).write_back == "failed"
    original = write_back.write

    def write(*arguments: Any) -> Any:
        written = original(*arguments)
        breaker.break_(fault)
        return written

    monkeypatch.setattr(write_back, "write", write)
    with pytest.raises(StateDatabaseDown) as told:
        write_back.attempt(catalogued.database, run.id)
    monkeypatch.undo()
    breaker.mend()
    assert write_back.attempt(catalogued.database, run.id).write_back == "succeeded"
    urn = catalogued.source.urn("customers")
    text = catalogued.gms.aspect(urn, "editableDatasetProperties")["description"]
    assert text.count("## Tokenization") == 1
    whole(catalogued.database)
    note(
        Cell("write-back", STATE, fault),
        sees=told.value.message,
        stored="run succeeded, write-back failed; the retry wrote it once",
    )


def test_ingestion_run(
    database: Database, aws: AwsStandIn, add_rule: AddRule, breaker: Breaker, note: Note,
    fault: str, actors: SimpleNamespace, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from backend.ingestion import dispatch

    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", URN, "earnings-lambda")
    original = dispatch._call

    def call(*arguments: Any) -> Any:
        accepted = original(*arguments)
        breaker.break_(fault)
        return accepted

    monkeypatch.setattr(dispatch, "_call", call)
    with pytest.raises(PortalError) as told:
        runs.start(database, actors.operator, Request(URN))
    breaker.mend()
    with database.read() as session:
        [left] = ingestion.list_runs(session, SYSTEM).items
    assert (left.status, left.active, left.run_id in told.value.message) == ("unknown", True, True)
    with pytest.raises(AlreadyRunning):
        runs.start(database, actors.operator, Request(URN))
    assert len(aws.starts("Invoke")) == 1
    whole(database)
    note(
        Cell("ingestion run", STATE, fault),
        sees=told.value.message,
        stored="run unknown (being sent), dataset taken; started once, looked for afterwards",
    )
