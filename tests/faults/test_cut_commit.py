"""The connection ends inside COMMIT: nobody knows whether it was stored, unless somebody looks."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.settings import get_settings
from backend.dms.client import DMSClient
from backend.dms.errors import DatabaseException
from backend.mounts import actions
from backend.mounts.errors import ClientError, MountNotFound
from tests.backend.dms.conftest import ledger_url, start_client, start_responder
from tests.faults.servers import Wire
from tests.fixtures import server_ledger
from tests.fixtures.dms_responder import Server, mount_request

__all__ = ["ledger_url", "start_client", "start_responder"]

CUTS = ("unanswered", "undelivered")


class Between:
    """A ledger behind a wire, a client that goes through it, one that does not, and the agent."""

    def __init__(self, wire: Wire, near: DMSClient, far: DMSClient, agent: Server) -> None:
        self.wire, self.near, self.far, self.agent = wire, near, far, agent

    def row(self, jobid: int) -> Any:
        return self.far.get_mount_status(jobid, "target-1")


@pytest.fixture(params=["mariadb", "deployed postgresql"])
def between(
    request: pytest.FixtureRequest,
    tmp_path: Any,
    start_client: Callable[..., DMSClient],
    start_responder: Callable[..., Server],
) -> Iterator[Between]:
    deployed, _, kind = request.param.rpartition(" ")
    url = server_ledger.empty_database(kind, request, tmp_path)
    if deployed:
        server_ledger.create(url)
    parsed = make_url(url)
    broker = f"memory://{uuid.uuid4().hex}"
    agent = start_responder(broker)
    with Wire(str(parsed.host), parsed.port or 0) as wire:
        through = parsed.set(host="127.0.0.1", port=wire.port)
        near = start_client(broker, db_url=through.render_as_string(hide_password=False))
        far = start_client(broker, db_url=url)
        near.ledger.ensure_operations()
        yield Between(wire, near, far, agent)
        near.close()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("which", [0, 1])
def test_mount(between: Between, cut: str, which: int) -> None:
    between.wire.commits = ["through"] * which + [cut]
    done = between.near.mount(mount_request(1))
    assert (done["outcome"], done["status"]) == ("replied", "success"), done
    assert between.row(1).mounted
    assert between.agent.actions == ["mount"]


@pytest.mark.parametrize("cut", CUTS)
def test_shared(between: Between, cut: str) -> None:
    between.far.mount(mount_request(1))
    between.wire.commits = [cut]
    done = between.near.mount(mount_request(2))
    assert (done["outcome"], done["status"]) == ("shared", "success"), done
    assert between.row(2).mounted
    between.wire.commits = [cut]
    done = between.near.unmount(mount_request(2))
    assert (done["outcome"], done["status"]) == ("shared", "success"), done
    assert not between.row(2).mounted
    assert between.agent.actions == ["mount"]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("which", [0, 1])
def test_unmount(between: Between, cut: str, which: int) -> None:
    between.far.mount(mount_request(1))
    between.wire.commits = ["through"] * which + [cut]
    done = between.near.unmount(mount_request(1))
    assert (done["outcome"], done["status"]) == ("replied", "success"), done
    assert not between.row(1).mounted
    assert between.agent.actions == ["mount", "unmount"]


@pytest.mark.parametrize("cut", CUTS)
def test_soft_delete(between: Between, cut: str) -> None:
    between.far.mount(mount_request(1))
    between.far.unmount(mount_request(1))
    between.wire.commits = [cut]
    assert between.near.soft_delete_entry(1, "target-1") is True
    assert between.row(1) is None


@pytest.mark.parametrize("cut", CUTS)
def test_release(between: Between, cut: str) -> None:
    between.far.mount(mount_request(1))
    between.wire.commits = [cut]
    assert between.near.operations.release(1, "target-1", "compute-01", actor=None, why="gone")
    assert not between.row(1).mounted


@pytest.mark.parametrize("cut", CUTS)
def test_soft_delete_of_a_ledger_that_stays_away(between: Between, cut: str) -> None:
    """Whether it was stored cannot be found out, so nobody says that it was not."""
    between.far.mount(mount_request(1))
    between.far.unmount(mount_request(1))
    between.wire.commits = [cut]
    between.wire.then_refuse = True
    with pytest.raises(DatabaseException) as told:
        between.near.soft_delete_entry(1, "target-1")
    assert told.value.outcome == "unknown"
    assert "look at the entry first" in told.value.message
    assert (between.row(1) is None) is (cut == "unanswered")


def test_the_audit_log_says_unknown_of_it(
    between: Between, database: Database, actors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.far.mount(mount_request(1))
    between.far.unmount(mount_request(1))
    address = between.near.ledger.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DMS_DB_URL", address)
    get_settings.cache_clear()
    with pytest.raises(MountNotFound):  # PyMySQL commits when it connects: that is done by now
        actions.delete(database, actors.operator, job=404, target="target-1")
    between.wire.commits, between.wire.then_refuse = ["unanswered"], True
    with pytest.raises(ClientError) as told:
        actions.delete(database, actors.operator, job=1, target="target-1")
    assert told.value.status == 504
    with database.read() as session:
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.number.desc())).first()
    assert last is not None
    assert (last.phase, last.outcome) == ("outcome", "unknown")
