"""A job goes where its environment's servers can be reached."""

import pytest
from sqlalchemy import select

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs import broker, recovery, registry, service
from backend.jobs.enqueue import enqueue
from backend.models.jobs import Job

pytestmark = pytest.mark.usefixtures("kinds")


def _ask(database: Database, environment: str | None) -> int:
    with database.write() as session:
        return enqueue(
            session, SYSTEM, "test.count", {"to": 1}, subject="a test", environment=environment
        )


def _queues(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Job.queue).order_by(Job.id)))


def _both_worlds(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Sandbox", is_sandbox=True)
        environments.add(session, SYSTEM, name="prod")


def test_without_a_sandbox_every_worker_may_do_all(any_database: Database) -> None:
    for environment in ("prod", "", None):
        _ask(any_database, environment)
    assert set(_queues(any_database)) == {broker.JOBS}


def test_the_sandboxs_jobs_and_those_of_all_environments_wait_for_its_host(
    any_database: Database,
) -> None:
    _both_worlds(any_database)
    for environment in ("Sandbox", None, "prod", ""):
        _ask(any_database, environment)
    assert _queues(any_database) == [broker.SANDBOX, broker.SANDBOX, broker.JOBS, broker.JOBS]


@pytest.mark.parametrize("kind", ["accounts.check_state", "jobs.retention"])
def test_what_needs_the_data_folder_waits_for_the_portal(any_database: Database, kind: str) -> None:
    """The checkpoint of the audit log and the archives: a worker elsewhere has another folder."""
    assert registry.kind(kind).portal
    with any_database.write() as session:
        enqueue(session, SYSTEM, kind, {}, subject="the state", environment="")
    assert _queues(any_database) == [broker.SANDBOX]


def test_a_worker_leaves_the_sandboxs_jobs_to_the_host(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does dramatiq warn of the second consumer of one process."""
    _both_worlds(database)
    sandbox = _ask(database, "Sandbox")
    consuming = [broker.consume([broker.JOBS])]
    try:
        for _ in range(3):
            prod = _ask(database, "prod")
            assert service.wait(database, prod, timeout=60).state == "succeeded"
        with database.read() as session:
            assert service.get(session, SYSTEM, job_id=sandbox).state == "queued"
        consuming.append(broker.consume([broker.SANDBOX]))
        assert service.wait(database, sandbox, timeout=60).state == "succeeded"
    finally:
        for each in consuming:
            each.stop()
    assert "of the same type twice" not in caplog.text


def test_a_lost_message_is_sent_again_to_the_same_queue(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, str]] = []
    monkeypatch.setattr(broker, "send", lambda *message: sent.append(message) or True)
    _both_worlds(database)
    asked = [(_ask(database, "Sandbox"), broker.SANDBOX), (_ask(database, "prod"), broker.JOBS)]
    assert sent == asked
    sent.clear()
    recovery.recover(database, at_start=True)
    assert sent == asked
