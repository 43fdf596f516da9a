"""Releasing a dead host: planned, confirmed by what was planned, and only while nobody reads it."""

from typing import Any

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import Conflict
from backend.dms import requests
from backend.dms.ledger import Ledger
from backend.dms.operations import Operations
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.mounts import actions, explorer, orphans, release
from backend.mounts.errors import MountNotFound
from backend.mounts.place_schemas import ReleasePlan
from backend.mounts.release import HostLives
from backend.mounts.schemas import Filters
from backend.sandbox.dms_agent import GONE_HOST
from backend.sandbox.dms_broker import broker
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

HOST = "compute-31"


@pytest.fixture
def dead(database: Database, lab: MountsEnvironment) -> Any:
    """A host with three mounts by the ledger, whose server has gone since."""
    name = lab.broker_url.removeprefix("memory://").split("?")[0]
    said = b'{"status": "success", "error_msg": null, "success_msg": "done"}'
    consumer = broker(name).consume(f"dms.{HOST}", lambda _body: [said])
    for jobid, target in ((1, "one"), (2, "one"), (3, "two")):
        request = mount_request(jobid=jobid, target=target, host=HOST)
        assert actions.run(database, SYSTEM, kind="mount", request=request)["status"] == "success"
    consumer.stop()
    return broker(name)


def _plan(database: Database) -> ReleasePlan:
    with database.read() as session:
        return release.plan(session, SYSTEM, host=HOST)


def _mounted(database: Database) -> list[int | None]:
    with database.read() as session:
        found = explorer.list_mounts(session, SYSTEM, filters=Filters(host=HOST, mounted=True))
        return sorted(entry.jobid or 0 for entry in found.items)


def test_the_plan_says_what_is_mounted_and_why_the_host_looks_dead(
    database: Database, dead: Any
) -> None:
    plan = _plan(database)
    assert [entry.jobid for entry in plan.entries] == [1, 2, 3]
    assert plan.evidence == f"Nobody reads the queue dms.{HOST}."
    assert plan.refused == ""
    assert _mounted(database) == [1, 2, 3], "a plan changes nothing"


def test_what_was_planned_says_unmounted_and_each_has_its_operation(
    database: Database, dead: Any
) -> None:
    seen: list[tuple[int, int]] = []
    plan = _plan(database)
    done = release.run(
        database, SYSTEM, host=HOST, digest=plan.digest, progress=lambda *at: seen.append(at)
    )
    assert (done.released, done.skipped) == (3, 0)
    assert seen == [(0, 3), (1, 3), (2, 3)]
    assert _mounted(database) == []
    with database.read() as session:
        kept = explorer.list_operations(session, SYSTEM, host=HOST, status="released").items
    assert sorted(operation.jobid for operation in kept) == [1, 2, 3]
    assert {operation.actor for operation in kept} == {"system"}
    with pytest.raises(MountNotFound):
        _plan(database)


def test_a_host_that_is_served_is_refused(database: Database, dead: Any) -> None:
    plan = _plan(database)
    consumer = dead.consume(f"dms.{HOST}", lambda _body: [])
    with pytest.raises(HostLives, match="A DMS server reads"):
        release.run(database, SYSTEM, host=HOST, digest=plan.digest)
    assert "A DMS server reads" in _plan(database).refused
    consumer.stop()
    assert _mounted(database) == [1, 2, 3]


def test_entries_that_changed_since_the_plan_are_refused(database: Database, dead: Any) -> None:
    plan = _plan(database)
    consumer = dead.consume(
        f"dms.{HOST}", lambda _body: [b'{"status":"success","error_msg":null,"success_msg":null}']
    )
    request = mount_request(jobid=9, target="nine", host=HOST)
    actions.run(database, SYSTEM, kind="mount", request=request)
    consumer.stop()
    with pytest.raises(Conflict, match="changed since the plan"):
        release.run(database, SYSTEM, host=HOST, digest=plan.digest)
    assert _mounted(database) == [1, 2, 3, 9]


def test_an_entry_that_somebody_works_on_is_left_as_it_is(
    database: Database, lab: MountsEnvironment, dead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Operations(Ledger(lab.ledger_url), owner="other", lease=600.0)
    request = requests.parse(mount_request(jobid=3, target="two", host=HOST), "unmount")
    claim = other.claim(request, reply_queue="", actor=None)
    assert claim.decision == "send"
    done = release.run(database, SYSTEM, host=HOST, digest=_plan(database).digest)
    other.ledger.close()
    assert (done.released, done.skipped) == (2, 1)
    assert done.reasons == ("job 3: two: an operation is still on",)
    assert _mounted(database) == [3]


def test_as_a_job_it_says_what_it_did(database: Database, dead: Any) -> None:
    job_id = release.submit(database, SYSTEM, host=HOST, digest=_plan(database).digest)
    runner.run(job_id, database)
    with database.read() as session:
        view = jobs.get(session, SYSTEM, job_id=job_id)
    assert view.state == "succeeded"
    assert (view.result or {})["success_msg"] == f"3 entries of {HOST} released."
    assert _mounted(database) == []


def test_an_orphan_of_a_dead_host_is_none_afterwards(
    database: Database, lab: MountsEnvironment
) -> None:
    with database.read() as session:
        found = orphans.find_now(session, SYSTEM, reason="no_queue", limit=500)
        assert {item.host for item in found.items} == {GONE_HOST}
        plan = release.plan(session, SYSTEM, host=GONE_HOST)
    release.run(database, SYSTEM, host=GONE_HOST, digest=plan.digest)
    with database.read() as session:
        assert orphans.find_now(session, SYSTEM, reason="no_queue", limit=500).items == ()
