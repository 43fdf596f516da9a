"""Ingestion runs under faults: recorded, honest, sent once."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.connections import service as connections
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import PortalError
from backend.ingestion import service
from backend.ingestion.errors import AlreadyRunning, StartFailed
from backend.ingestion.schemas import RunView
from backend.integrations.aws import clients
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import (
    URN,
    AddRule,
    add_rule,
    aws,
    aws_server,
    datahub,
    environment,
    start,
)
from tests.faults.conftest import Note
from tests.faults.matrix import Cell, faults
from tests.faults.servers import closed_port

__all__ = ["add_rule", "aws", "aws_server", "datahub", "environment", "start"]
JOB = "ingestion run"
DATAHUB: dict[str, dict[str, Any]] = {
    "hanging": {"latency": 600},
    "slow": {"latency": 0.1},
    "garbage": {"html": True},
    "401": {"status": 401},
    "500": {"status": 500},
    "dies": {"drop": "before"},
}
AWS: dict[str, dict[str, Any]] = {
    "hanging": {"latency": 600},
    "slow": {"latency": 0.2},
    "garbage": {"html": True},
}

#: Seconds that a busy machine may take for an answer that does come.
ENOUGH = 30


def recorded(database: Database) -> list[RunView]:
    with database.read() as session:
        return list(service.list_runs(session, SYSTEM).items)


def wait_for_datahub(database: Database, seconds: int) -> None:
    with database.write() as session:
        settings = {"timeout": str(seconds)}
        connections.save(session, SYSTEM, environment="dev", kind="datahub", settings=settings)


@pytest.fixture
def mapped(aws: AwsStandIn, add_rule: AddRule) -> None:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", URN, "earnings-lambda")


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("fault", faults(JOB, "DataHub"))
def test_datahub(
    database: Database, aws: AwsStandIn, datahub: StandIn, start: Callable[..., RunView],
    note: Note, fault: str,
) -> None:  # fmt: skip
    wait_for_datahub(database, ENOUGH if fault == "slow" else 1)
    cell = Cell(JOB, "DataHub", fault)
    with datahub.faults.inject(**DATAHUB[fault]):
        if fault == "slow":
            assert start().existence == "exists"
            note(cell, sees=None, stored="run accepted")
            return
        with pytest.raises(PortalError) as told:
            start()
    assert recorded(database) == []
    assert aws.starts() == []
    note(cell, sees=told.value.message, stored="no run; nothing was sent to AWS")
    wait_for_datahub(database, ENOUGH)
    assert start().status == "accepted"
    assert len(aws.starts()) == 1


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("fault", faults(JOB, "AWS"))
def test_aws(
    database: Database, aws: AwsStandIn, start: Callable[..., RunView], note: Note,
    monkeypatch: pytest.MonkeyPatch, fault: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(clients, "READ_TIMEOUT", ENOUGH if fault == "slow" else 0.8)
    clients.forget()
    cell = Cell(JOB, "AWS", fault)
    if fault == "refused":
        use(database, f"http://127.0.0.1:{closed_port()}")
        with pytest.raises(StartFailed) as told:
            start()
        assert [run.status for run in recorded(database)] == ["failed"]
        note(cell, sees=told.value.message, stored="run failed, dataset free again")
        use(database, aws.url)
        assert start().status == "accepted"
        return
    with aws.faults.inject(operation="Invoke", invocation="Event", **AWS[fault]):
        if fault == "slow":
            assert start().status == "accepted"
            note(cell, sees=None, stored="run accepted, started once")
            return
        with pytest.raises(StartFailed) as told:
            start()
    clients.forget()
    assert (told.value.run.status, told.value.run.active) == ("unknown", True)
    with pytest.raises(AlreadyRunning):
        start()
    assert len(aws.starts("Invoke")) <= 1
    note(cell, sees=told.value.message, stored="run unknown, dataset taken; not sent again")


def use(database: Database, url: str) -> None:
    with database.write() as session:
        connections.save(
            session, SYSTEM, environment="dev", kind="aws", settings={"endpoint_url": url},
            secrets_in={"secret_access_key": "testing"},
        )  # fmt: skip
