"""A host that came back: planned, asked about each mount once, and which of the two was wrong."""

from typing import Any

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import Conflict, InvalidInput
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.mounts import actions, release, verification
from backend.mounts.errors import MountNotFound
from backend.mounts.place_schemas import VerificationPlan
from backend.mounts.verification import NobodyThere
from backend.sandbox.dms_broker import broker
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

HOST = "compute-31"


class _Server:
    """A DMS server that says what the real one does: what is so already it says, and does not."""

    def __init__(self, name: str) -> None:
        self.mounted: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self._broker = broker(name)
        self._consumer = self._start()

    def _start(self) -> Any:
        return self._broker.consume(f"dms.{HOST}", lambda body: [self._answer(body)])

    def _answer(self, body: bytes) -> bytes:
        import json

        request = json.loads(body)
        action, target = request["action"], request["backup_target"]["id"]
        self.asked.append((action, target))
        there = target in self.mounted
        if action == "mount":
            self.mounted.add(target)
            said = "Already mounted at /x" if there else "mounted successfully at /x"
        else:
            self.mounted.discard(target)
            said = "unmounted successfully from /x" if there else "Target not mounted at /x"
        return json.dumps({"status": "success", "error_msg": None, "success_msg": said}).encode()

    def stop(self) -> None:
        self._consumer.stop()

    def come_back(self) -> None:
        self._consumer = self._start()


@pytest.fixture
def server(database: Database, lab: MountsEnvironment) -> Any:
    """A host with three mounts of two targets, by ledger and server alike."""
    started = _Server(lab.broker_url.removeprefix("memory://").split("?")[0])
    for jobid, target in ((1, "one"), (2, "one"), (3, "two")):
        request = mount_request(jobid=jobid, target=target, host=HOST)
        assert actions.run(database, SYSTEM, kind="mount", request=request)["status"] == "success"
    started.asked.clear()
    yield started
    started.stop()


def _plan(database: Database) -> VerificationPlan:
    with database.read() as session:
        return verification.plan(session, SYSTEM, host=HOST)


def _run(database: Database, **more: Any) -> Any:
    digest = more.pop("digest", None) or _plan(database).digest
    return verification.run(
        database, SYSTEM, host=HOST, digest=digest, keystone_token="t", **more
    )  # fmt: skip


@pytest.fixture(autouse=True)
def templates(database: Database, lab: MountsEnvironment, server: Any) -> None:
    """How the two targets are asked for, their secrets included."""
    from backend.mounts import targets

    for name in ("one", "two"):
        with database.write() as session:
            targets.save(
                session, SYSTEM, target_id=name, type="s3", mount_path=f"/mnt/{name}",
                secret_ref="http://barbican/secret",
            )  # fmt: skip


def test_each_mount_is_asked_about_once_whichever_jobs_hold_it(
    database: Database, server: Any
) -> None:
    plan = _plan(database)
    assert [(e.target, e.expected) for e in plan.entries] == [
        ("one", "mounted"),
        ("two", "mounted"),
    ]
    assert (plan.refused, plan.queue.consumers) == ("", 1)
    assert server.asked == [], "a plan asks nobody"
    seen: list[tuple[int, int]] = []
    done = _run(database, progress=lambda *at: seen.append(at))
    assert server.asked == [("mount", "one"), ("mount", "two")]
    assert (done.agreed, done.host_corrected, done.unsettled, done.findings) == (2, 0, 0, ())
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert verification.sentence(done) == (f"{HOST}: of 2 mounts ledger and host agree on 2.")


def test_a_host_that_lost_a_mount_was_wrong_and_is_set_right(
    database: Database, server: Any
) -> None:
    server.mounted.discard("two")
    done = _run(database)
    assert (done.agreed, done.host_corrected) == (1, 1)
    assert done.findings[0].startswith("job 3: two: The host was wrong: it had lost the mount")
    assert server.mounted == {"one", "two"}
    assert "The host was wrong on 1 and was set right." in verification.sentence(done)


def test_what_the_ledger_gave_up_while_the_host_was_away_is_unmounted_there(
    database: Database, server: Any
) -> None:
    server.stop()
    with database.read() as session:
        dead = release.plan(session, SYSTEM, host=HOST)
    release.run(database, SYSTEM, host=HOST, digest=dead.digest)
    assert server.mounted == {"one", "two"}, "nobody was there to unmount"
    server.come_back()
    plan = _plan(database)
    assert {(e.target, e.expected) for e in plan.entries} == {
        ("one", "not mounted"),
        ("two", "not mounted"),
    }
    done = _run(database)
    assert done.host_corrected == 2
    assert all("it still held a mount of nobody" in finding for finding in done.findings)
    assert server.mounted == set()


def test_nobody_there_is_said_before_anything_is_asked(database: Database, server: Any) -> None:
    digest = _plan(database).digest
    server.stop()
    assert _plan(database).refused == (
        f"Nobody reads dms.{HOST}: the host's DMS server is not there."
    )
    with pytest.raises(NobodyThere, match="was not asked"):
        _run(database, digest=digest)


def test_a_plan_that_moved_on_is_refused(database: Database, server: Any) -> None:
    digest = _plan(database).digest
    request = mount_request(jobid=9, target="three", host=HOST)
    actions.run(database, SYSTEM, kind="mount", request=request)
    server.asked.clear()
    with pytest.raises(Conflict, match="changed since the plan was made"):
        _run(database, digest=digest)
    with pytest.raises(InvalidInput, match="name its digest"):
        verification.run(database, SYSTEM, host=HOST, digest="")
    assert server.asked == []


def test_a_host_without_mounts_has_nothing_to_verify(database: Database) -> None:
    with database.read() as session, pytest.raises(MountNotFound, match="anything mounted"):
        verification.plan(session, SYSTEM, host="compute-99")


def test_as_a_job_its_token_is_in_no_row(database: Database, server: Any) -> None:
    job_id = verification.submit(
        database,
        SYSTEM,
        host=HOST,
        digest=_plan(database).digest,
        keystone_token="very-secret-token",
    )
    with database.read() as session:
        queued = jobs.get(session, SYSTEM, job_id=job_id)
    assert "very-secret" not in repr(queued)
    runner.run(job_id, database)
    with database.read() as session:
        done = jobs.get(session, SYSTEM, job_id=job_id)
    assert done.state == "succeeded"
    assert done.result is not None
    assert done.result["agreed"] == 2
    runner.run(job_id, database)
    assert len(server.asked) == 2, "a job delivered twice asks once"
