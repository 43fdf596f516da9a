"""Connection tests under every fault that the room's own tests leave out."""

import pytest

from backend.connections import probing, testing
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.integrations.aws import clients
from tests.backend.connections import bad_server as bad
from tests.backend.connections.bad_server import BadServer
from tests.backend.connections.conftest import VALID, Save, bad_server, prod, save
from tests.backend.connections.test_probing import SOCKET_KINDS
from tests.faults.conftest import SECRET, Note
from tests.faults.matrix import Cell, faults
from tests.faults.servers import RAW

__all__ = ["bad_server", "prod", "save"]
JOB = "connections test"
KINDS = {"PostgreSQL": "postgres", "Ledger": "ledger", "RabbitMQ": "rabbitmq"}
AWS_FAULTS = {
    "hanging": bad.silent,
    "slow": bad.drip,
    "garbage": bad.html,
    "500": bad.answer("500 Internal Server Error", "<x/>", kind="text/xml"),
    "dies": bad.close,
}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    real = probing.run
    monkeypatch.setattr(probing, "run", lambda config: real(config, deadline=1.0))
    monkeypatch.setattr(clients, "READ_TIMEOUT", 0.7)


def outcome(database: Database, kind: str) -> tuple[str, str]:
    """Run the test as a person would; what they see, and what is kept."""
    result = testing.run(database, SYSTEM, environment=None, kind=kind)
    assert not result.ok
    assert result.cause.endswith(".")
    assert result.advice
    with database.read() as session:
        kept = testing.history(session, SYSTEM, environment="Prod", kind=kind)
    assert [(item.ok, item.cause, item.advice) for item in kept] == [
        (False, result.cause, result.advice)
    ]
    return f"{kind_name(kind)}: {result.cause} {result.advice}", "one failed test in the history"


def kind_name(kind: str) -> str:
    """The page shows the result in the row of its connection."""
    from backend.connections import kinds

    return kinds.get_kind(kind).label


@pytest.mark.parametrize(
    ("system", "fault"), [(system, fault) for system in KINDS for fault in faults(JOB, system)]
)
def test_sockets(
    database: Database, save: Save, bad_server: BadServer, note: Note, system: str, fault: str
) -> None:
    kind = KINDS[system]
    bad_server.behave = RAW[kind][fault]
    save(kind, SOCKET_KINDS[kind](bad_server.port), {"password": SECRET})
    sees, stored = outcome(database, kind)
    note(Cell(JOB, system, fault), sees=sees, stored=stored)


@pytest.mark.parametrize("fault", faults(JOB, "AWS"))
def test_aws(database: Database, save: Save, bad_server: BadServer, note: Note, fault: str) -> None:
    bad_server.behave = AWS_FAULTS[fault]
    settings = {**VALID["aws"], "endpoint_url": bad_server.url, "access_key_id": f"AK{fault}"}
    save("aws", settings, {"secret_access_key": SECRET})
    sees, stored = outcome(database, "aws")
    note(Cell(JOB, "AWS", fault), sees=sees, stored=stored)
