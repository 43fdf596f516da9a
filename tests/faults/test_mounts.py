"""Mounts under faults: never marked mounted without an answer, never sent twice."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine, make_url, select

from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import PortalError
from backend.dms import ledger as ledgers
from backend.dms.client import DMSClient
from backend.dms.schema import ledger as table
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.models import MountRequestBox
from backend.mounts import actions, explorer
from backend.mounts import settings as mount_settings
from tests.backend.connections.bad_server import BadServer
from tests.faults.conftest import SECRET, Note
from tests.faults.matrix import Cell, faults
from tests.faults.servers import RAW, Wire, closed_port
from tests.fixtures.dms_responder import MemoryResponder, mount_request
from tests.fixtures.mounts import add_environment

JOB = "mount"


#: What is waited for in vain; who answers has all the time that a busy machine needs.
NEVER = ("hanging", "slow", "garbage")  # garbage that looks like the beginning of more


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    mount_settings.forget_ledgers()
    explorer.forget_counts()


def mount(database: Database, actors: SimpleNamespace) -> tuple[str, str]:
    """Submit it as a person does and run its job; the state and what the person sees."""
    request = mount_request(jobid=1)
    try:
        job_id = actions.submit(database, actors.operator, kind="mount", request=request)
    except PortalError as exc:
        return "refused at once", exc.message
    runner.run(job_id, database)
    with database.read() as session:
        view = jobs.get(session, SYSTEM, job_id=job_id)
        assert session.scalars(select(MountRequestBox)).all() == []
        phases = [
            (event.phase, event.outcome)
            for event in session.scalars(select(AuditEvent).order_by(AuditEvent.number))
            if event.action == "mounts:mount:mount"
        ]
    assert [phase for phase, _ in phases] == ["intent", "outcome"]
    assert not runner.run(job_id, database)  # delivered twice, run once
    return f"job {view.state}, audited as {phases[-1][1]}", view.error or ""


@pytest.mark.parametrize("fault", faults(JOB, "RabbitMQ"))
def test_rabbitmq(
    database: Database,
    actors: SimpleNamespace,
    tmp_path: Path,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    ledger_url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    monkeypatch.setenv("DMS_REQUEST_TIMEOUT", "1" if fault in NEVER else "60")
    with BadServer() as server:
        port = closed_port() if fault == "refused" else server.port
        if fault != "refused":
            server.behave = RAW["rabbitmq"][fault]
        broker = f"amqp://u:{SECRET}@127.0.0.1:{port}/"
        add_environment(database, ledger_url=ledger_url, broker_url=broker)
        stored, sees = mount(database, actors)
    with DMSClient(ledger_url, "memory://unused", 1) as client:
        assert client.get_active_mounts() == []
    note(Cell(JOB, "RabbitMQ", fault), sees=sees, stored=f"{stored}; nothing mounted in the ledger")


@pytest.mark.parametrize("fault", [f for f in faults(JOB, "Ledger") if f != "slow"])
def test_ledger(
    database: Database,
    actors: SimpleNamespace,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    patience = 1 if fault in NEVER else 60
    monkeypatch.setattr(ledgers, "READ_TIMEOUT", patience)
    broker = f"memory://{uuid.uuid4().hex}"
    responder = MemoryResponder(broker)
    with BadServer() as server:
        port = closed_port() if fault == "refused" else server.port
        if fault != "refused":
            server.behave = RAW["ledger"][fault]
        url = f"mysql+pymysql://u:{SECRET}@127.0.0.1:{port}/dms?connect_timeout={patience}"
        add_environment(database, ledger_url=url, broker_url=broker)
        stored, sees = mount(database, actors)
    responder.stop()
    assert responder.requests == []
    note(Cell(JOB, "Ledger", fault), sees=sees, stored=f"{stored}; nothing was sent")


def test_a_slow_ledger(
    database: Database,
    actors: SimpleNamespace,
    postgres_url: str,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DMS_REQUEST_TIMEOUT", "60")
    parsed = make_url(postgres_url)
    broker = f"memory://{uuid.uuid4().hex}"
    responder = MemoryResponder(broker)
    with Wire(str(parsed.host), parsed.port or 5432) as wire:
        wire.delay = 0.01
        url = parsed.set(port=wire.port).render_as_string(hide_password=False)
        add_environment(database, ledger_url=url, broker_url=broker)
        stored, sees = mount(database, actors)
    responder.stop()
    assert (sees, responder.actions) == ("", ["mount"])
    engine = create_engine(parsed)
    with engine.connect() as connection:
        assert len(connection.execute(select(table.c.id).where(table.c.mounted)).all()) == 1
    engine.dispose()
    note(Cell(JOB, "Ledger", "slow"), sees=None, stored=f"{stored}; mounted once")
