"""The connection ends inside a COMMIT of the portal's own database on a server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.engine import make_url

from backend.accounts import passwords, repository
from backend.accounts.first_start import ensure_first_admin
from backend.connections import environments
from backend.core import secret_store
from backend.core.access import SYSTEM
from backend.core.database import Database, StateWriteUnknown, forget_databases, get_database
from backend.core.errors import PortalError
from backend.core.settings import get_settings
from backend.ingestion import mapping, runs
from backend.ingestion import service as ingestion
from backend.ingestion.errors import StartFailed
from backend.ingestion.schemas import Request
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext, job
from backend.sandbox.aws import AwsStandIn
from backend.user_sync import service as user_sync
from tests.backend.ingestion.conftest import URN, aws, aws_server, environment
from tests.backend.jobs.conftest import fresh_broker
from tests.backend.user_sync.conftest import World, _no_pauses, directory, many, om, sent, world
from tests.faults.servers import Wire
from tests.faults.test_cut_commit import CUTS
from tests.fixtures.database import copy_of_migrated

__all__ = [
    "_no_pauses", "aws", "aws_server", "directory", "environment", "fresh_broker", "many", "om",
    "world",
]  # fmt: skip


@pytest.fixture(params=["postgres", "mariadb"])
def wire(
    request: pytest.FixtureRequest,
    data_dir: Path,
    migrated: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Wire]:
    """Between the portal and its database, a server's."""
    server = request.getfixturevalue(f"{request.param}_server")
    url = make_url(server.url(copy_of_migrated(server, migrated)))
    with Wire(str(url.host), url.port or 0) as between:
        through = url.set(host="127.0.0.1", port=between.port)
        address = through.render_as_string(hide_password=False)
        monkeypatch.setenv("PORTAL_DATABASE_URL", address)
        get_settings.cache_clear()
        yield between
        forget_databases()


@pytest.fixture
def database(wire: Wire) -> Database:
    made = get_database()
    secret_store.ensure(made, secret_store.get_vault())
    return made


def names(database: Database) -> list[str]:
    with database.read() as session:
        return [each.name for each in environments.list_all(session, SYSTEM)]


@pytest.mark.parametrize("cut", CUTS)
def test_a_write(database: Database, wire: Wire, cut: str) -> None:
    wire.commits = [cut]
    with pytest.raises(StateWriteUnknown) as told, database.write() as session:
        environments.add(session, SYSTEM, name="prod")
    assert told.value.status == 504
    assert "Nothing was changed" not in told.value.message
    assert names(database) == (["prod"] if cut == "unanswered" else [])


def test_what_breaks_before_the_commit_was_not_stored(database: Database, wire: Wire) -> None:
    with pytest.raises(PortalError, match="Nothing was changed"), database.write() as session:
        environments.add(session, SYSTEM, name="prod")
        wire.cut()
        environments.add(session, SYSTEM, name="test")
    assert names(database) == []


@pytest.mark.parametrize("cut", CUTS)
def test_the_first_admins_password_is_told_when_he_was_stored(
    database: Database, wire: Wire, cut: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.commits = [cut]
    if cut == "undelivered":
        with pytest.raises(StateWriteUnknown):
            ensure_first_admin(database, get_settings())
    made = ensure_first_admin(database, get_settings())
    assert made is not None
    assert made.password is not None
    assert made.password in capsys.readouterr().out
    with database.read() as session:
        account = repository.find_account(session, made.name)
    assert account is not None
    assert passwords.verify(made.password, account.password_hash)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_job_that_must_not_run_twice(
    database: Database, wire: Wire, cut: str, which: int
) -> None:
    """0: the commit that claims it. 1: the one that records its end."""
    ran: list[int] = []

    @job("test.once", title="Once")
    def once(_ctx: JobContext) -> None:
        ran.append(1)

    with database.write() as session:
        job_id = enqueue(session, SYSTEM, "test.once", {}, subject="x")
    wire.commits = ["through"] * which + [cut]
    if (which, cut) == (0, "undelivered"):
        with pytest.raises(StateWriteUnknown):
            runner.run(job_id, database)
    runner.run(job_id, database)
    with database.read() as session:
        ended = jobs.get(session, SYSTEM, job_id=job_id)
    assert (ended.state, ended.attempt, ran) == ("succeeded", 1, [1])


@pytest.mark.parametrize("cut", CUTS)
def test_a_run_that_a_worker_holds(
    database: Database, wire: Wire, cut: str, aws: AwsStandIn, environment: str,
    actors: SimpleNamespace,
) -> None:  # fmt: skip
    """Handed over is handed over, and what was not is failed and never called."""
    aws.add_function("f", seconds=3_600)
    with database.write() as session:
        mapping.put(session, SYSTEM, kind="exact", pattern=URN, target="f", invocation="sync")
    wire.commits = ["through", "through", cut]  # the run's row, its claim, the hand-over
    if cut == "unanswered":
        assert runs.start(database, actors.operator, Request(URN)).status == "accepted"
    else:
        with pytest.raises(StartFailed, match="Nothing was started"):
            runs.start(database, actors.operator, Request(URN))
    assert not wire.commits
    with database.read() as session:
        [left] = ingestion.list_runs(session, SYSTEM).items
        queued = jobs.list_jobs(session, SYSTEM).items
    assert left.status == ("accepted" if queued else "failed")


@pytest.mark.parametrize("which", [1, 4])
def test_user_sync_apply(many: Callable[[int], World], wire: Wire, which: int) -> None:
    """Whichever commit of a run is cut, everybody is written once and the run ends whole."""
    world = many(20)
    run = world.start(world.plan())
    wire.commits = ["through"] * which + ["unanswered"]
    found = user_sync.execute(world.database, world.steward, run_id=run.id)
    assert not wire.commits
    executed = 1
    if found.counts != {"applied": 20}:
        executed = 2
        assert found.state == "stopped"
        found = world.resume(run)
    assert (found.state, found.counts) == ("succeeded", {"applied": 20})
    assert len(set(sent(world))) == 20
    assert len(sent(world)) <= 20 + executed, "each may begin with the empty probe of If-Match"
