"""Tokenization under faults: all tokens or none, and the proof in DataHub retried apart."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from backend.connections import service as connections
from backend.core.database import Database
from backend.integrations.postgres import connection as postgres
from backend.jobs import service as jobs
from backend.tokenization import write_back
from backend.tokenization.engines.postgres import engine
from backend.tokenization.schemas import RunState, RunView, WriteBackState
from tests.backend.tokenization.conftest import catalogued, gms, source
from tests.backend.tokenization.test_reconcile import plain
from tests.backend.tokenization.world import ADMIN, STEWARD, Source, World, customers, make_world
from tests.faults.conftest import Note
from tests.faults.matrix import Cell, faults
from tests.faults.servers import RAW, Wire

__all__ = ["catalogued", "gms", "source"]
DATAHUB: dict[str, dict[str, Any]] = {
    "refused": {},
    "hanging": {"latency": 600},
    "slow": {"latency": 0.05},
    "garbage": {"html": True},
    "401": {"status": 401},
    "dies": {"drop": "after"},
}


@pytest.fixture
def wire(source: Source) -> Iterator[Wire]:
    with Wire(source.settings["host"], int(source.settings["port"])) as between:
        yield between


@pytest.fixture
def wired(database: Database, source: Source, wire: Wire) -> World:
    """The environment reaches its PostgreSQL through the wire; the tests do not."""
    customers(source)
    found = make_world(database, source)
    with database.write() as session:
        connections.save(
            session, ADMIN, environment="test", kind="postgres",
            settings={"host": "127.0.0.1", "port": str(wire.port)}, secrets_in=source.secrets,
        )  # fmt: skip
    return found


def job_state(world: World, run: RunView) -> str:
    assert run.job_id is not None
    with world.database.read() as session:
        return jobs.get(session, STEWARD, job_id=run.job_id).state


@pytest.mark.parametrize("fault", faults("tokenize", "PostgreSQL"))
def test_postgres(
    wired: World, wire: Wire, note: Note, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run = wired.start("customers", "email")
    wire.cut()
    if fault == "refused":
        wire.refuse()
    elif fault == "slow":
        wire.delay = 0.01
    else:
        wire.behave = RAW["postgres"][fault]
    with monkeypatch.context() as patch:
        if fault == "hanging":
            short = functools.partial(postgres.connect, connect_timeout=2)
            patch.setattr(engine, "connect", short)
        ended = wired.work(run)
    cell = Cell("tokenize", "PostgreSQL", fault)
    if fault == "slow":
        assert (ended.state, plain(wired)) == (RunState.SUCCEEDED, 0)
        note(cell, sees=None, stored="run succeeded, all 50 rows are tokens")
        return
    assert (ended.state, ended.rows_updated, plain(wired)) == (RunState.FAILED, 0, 50)
    note(
        cell,
        sees=ended.details,
        stored=f"run failed, job {job_state(wired, run)}; the table is as it was",
    )
    if fault != "refused":
        wire.behave = None
        assert wired.work(wired.start("customers", "email")).rows_updated == 50


@pytest.mark.parametrize("fault", faults("write-back", "DataHub"))
def test_write_back(catalogued: World, note: Note, fault: str) -> None:
    # Short where an answer never comes; a slow one has all the time that a busy machine needs.
    timeout = {"timeout": "60" if fault == "slow" else "1"}
    with catalogued.database.write() as session:
        connections.save(session, ADMIN, environment="test", kind="datahub", settings=timeout)
    run = catalogued.start("customers")
    cell = Cell("write-back", "DataHub", fault)
    if fault == "refused":
        catalogued.gms.stop()
        ended = catalogued.work(run)
    else:
        with catalogued.gms.faults.inject(**DATAHUB[fault]):
            ended = catalogued.work(run)
    assert (ended.state, ended.rows_updated, plain(catalogued)) == (RunState.SUCCEEDED, 50, 0)
    if fault == "slow":
        assert ended.write_back is WriteBackState.SUCCEEDED
        note(cell, sees=None, stored="run succeeded, outcome written")
        return
    assert ended.write_back is WriteBackState.FAILED
    stored = "run succeeded, write-back failed"
    if fault != "refused":
        patient = {"timeout": "60"}  # what answers now may do so on a busy machine
        with catalogued.database.write() as session:
            connections.save(session, ADMIN, environment="test", kind="datahub", settings=patient)
        assert write_back.attempt(catalogued.database, run.id).write_back == "succeeded"
        urn = catalogued.source.urn("customers")
        text = catalogued.gms.aspect(urn, "editableDatasetProperties")["description"]
        assert text.count("## Tokenization") == 1
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
        stored += "; the retry wrote it once"
    note(cell, sees=ended.write_back_details, stored=stored)
