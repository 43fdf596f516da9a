"""What the approver of each action is shown is what would happen now; when that moves, the
approved request is refused and says what moved."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.changes import lifecycle, policy
from backend.changes import service as changes
from backend.changes.rules import Rule
from backend.changes.schemas import ChangeView, Now
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import Waiting
from backend.dms.client import DMSClient
from backend.jobs import broker as jobs_broker
from backend.jobs import runner
from backend.mounts import actions, explorer, release, targets, verification
from backend.mounts.errors import MountNotFound
from backend.mounts.schemas import Filters
from backend.sandbox.dms_broker import broker
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

ANN = Actor(0, "cli:ann", Role.ADMIN, "cli")
EVE = Actor(0, "cli:eve", Role.ADMIN, "cli")
HOST = "compute-31"


class Host:
    """A DMS server that does what it is asked, and can go."""

    def __init__(self, name: str) -> None:
        self.asked: list[bytes] = []
        self._queues = broker(name)
        self.start()

    def start(self) -> None:
        self._consumer = self._queues.consume(f"dms.{HOST}", lambda body: [self._answer(body)])

    def stop(self) -> None:
        self._consumer.stop()

    def _answer(self, body: bytes) -> bytes:
        self.asked.append(body)
        return b'{"status": "success", "error_msg": null, "success_msg": "done"}'


class Place:
    """The lab with jobs 1 and 2 on target one and job 3 on target two of the host."""

    def __init__(self, database: Database, lab: MountsEnvironment, host: Host) -> None:
        self.database, self.lab, self.host = database, lab, host

    def operate(self, kind: actions.Kind, job: int, target: str = "one") -> Any:
        request = {**mount_request(jobid=job, target=target, host=HOST), "action": "mount"}
        if kind == "unmount":
            request["action"] = "unmount"
        return actions.run(self.database, ANN, kind=kind, request=request)

    def rule(self, action: str) -> None:
        with self.database.write() as session:
            rule = Rule(mode="approve")
            policy.save(session, SYSTEM, environment=self.lab.name, action=action, rule=rule)

    def asks(self, action: str, call: Callable[[], object]) -> int:
        """The request's number; nothing was sent and nothing changed in the ledger."""
        self.rule(action)
        before, sent = self.mounted(), len(self.host.asked)
        with pytest.raises(Waiting) as caught:
            call()
        assert (self.mounted(), len(self.host.asked)) == (before, sent)
        return int(caught.value.document["change_id"])

    def now(self, number: int) -> Now:
        return changes.would_do(self.database, EVE, change_id=number)

    def approved(self, number: int) -> ChangeView:
        with self.database.write() as session:
            changes.approve(session, EVE, change_id=number)
        lifecycle.carry_out(self.database, number)
        with self.database.read() as session:
            return changes.get(session, SYSTEM, change_id=number)

    def mounted(self) -> list[int]:
        with self.database.read() as session:
            found = explorer.list_mounts(session, SYSTEM, filters=Filters(host=HOST, mounted=True))
            return sorted(entry.jobid or 0 for entry in found.items)


@pytest.fixture
def place(database: Database, lab: MountsEnvironment) -> Iterator[Place]:
    jobs_broker.reset()
    runner.stopping.clear()
    host = Host(lab.broker_url.removeprefix("memory://").split("?")[0])
    made = Place(database, lab, host)
    for job, target in ((1, "one"), (2, "one"), (3, "two")):
        assert made.operate("mount", job, target)["status"] == "success"
    host.asked.clear()
    for name in ("one", "two"):
        with database.write() as session:
            targets.save(
                session, SYSTEM, target_id=name, type="s3", mount_path=f"/mnt/{name}",
                secret_ref="http://barbican/secret",
            )  # fmt: skip
    yield made
    host.stop()


def _shown(now: Now) -> tuple[str, list[tuple[str, ...]], str]:
    """Title, rows without their host, the notes."""
    assert now.preview is not None, now
    rows = [tuple(cell for cell in row if cell != HOST) for row in now.preview.rows]
    return now.preview.title, rows, " ".join(now.preview.notes)


def _refused(place: Place, number: int, moved: str) -> None:
    """Neither the look nor, once approved, the work goes on; both say what moved."""
    before, sent = place.mounted(), len(place.host.asked)
    now = place.now(number)
    assert not now.same
    assert moved in (now.error or ", ".join(now.moved))
    view = place.approved(number)
    assert view.status == "refused", view.outcome
    assert moved in view.outcome
    assert (place.mounted(), len(place.host.asked)) == (before, sent)


class TestUnmount:
    def test_what_is_shown_is_done(self, place: Place) -> None:
        number = place.asks("mounts.unmount", lambda: place.operate("unmount", 1))
        now = place.now(number)
        title, rows, note = _shown(now)
        assert now.same
        assert title == f"Mounted there now, 1 other job on one at {HOST}"
        assert rows == [("1", "one", "mounted"), ("2", "one", "mounted")]
        assert "none will be sent" in note
        assert place.approved(number).status == "succeeded"
        assert (place.mounted(), place.host.asked) == ([2, 3], [])

    def test_an_unmount_that_became_the_last_one_is_refused(self, place: Place) -> None:
        number = place.asks("mounts.unmount", lambda: place.operate("unmount", 1))
        _unmounted_elsewhere(place, 2)
        assert "one will be sent" in _shown(place.now(number))[2]
        _refused(place, number, "the physical unmount")


class TestVerify:
    def test_what_is_shown_is_done(self, place: Place) -> None:
        number = place.asks("mounts.verify", lambda: place.operate("verify", 3, "two"))
        now = place.now(number)
        _title, rows, note = _shown(now)
        assert (now.same, rows) == (True, [("3", "two", "mounted")])
        assert note == "The server would be asked to have it mounted."
        assert place.approved(number).status == "succeeded"
        (sent,) = place.host.asked
        assert b'"action": "mount"' in sent

    def test_an_entry_that_was_unmounted_meanwhile_is_refused(self, place: Place) -> None:
        number = place.asks("mounts.verify", lambda: place.operate("verify", 3, "two"))
        _unmounted_elsewhere(place, 3, "two")
        assert _shown(place.now(number))[2] == "The server would be asked to have it unmounted."
        _refused(place, number, "the ledger says")


class TestVerifyHost:
    def _ask(self, place: Place) -> int:
        with place.database.read() as session:
            plan = verification.plan(session, ANN, host=HOST)
        return place.asks(
            "mounts.verify_host",
            lambda: verification.run(
                place.database, ANN, host=HOST, digest=plan.digest, keystone_token="t"
            ),
        )

    def test_what_is_shown_is_done(self, place: Place) -> None:
        number = self._ask(place)
        now = place.now(number)
        title, rows, _note = _shown(now)
        assert (now.same, title) == (True, f"What {HOST} would be asked")
        assert [row[1:] for row in rows] == [("one", "mounted"), ("two", "mounted")]
        assert place.approved(number).status == "succeeded"
        assert len(place.host.asked) == 2

    def test_other_mounts_than_those_that_were_asked_about_are_refused(self, place: Place) -> None:
        number = self._ask(place)
        _unmounted_elsewhere(place, 3, "two")
        _refused(place, number, "changed since the plan was made")


class TestRelease:
    def _ask(self, place: Place) -> int:
        place.host.stop()
        with place.database.read() as session:
            plan = release.plan(session, ANN, host=HOST)
        return place.asks(
            "mounts.release",
            lambda: release.run(place.database, ANN, host=HOST, digest=plan.digest),
        )

    def test_what_is_shown_is_done(self, place: Place) -> None:
        number = self._ask(place)
        now = place.now(number)
        title, rows, _note = _shown(now)
        assert (now.same, title) == (True, f"Mounted on {HOST} by the ledger")
        assert [row[0] for row in rows] == ["1", "2", "3"]
        assert place.approved(number).status == "succeeded"
        assert place.mounted() == []

    def test_a_host_that_lives_again_is_refused(self, place: Place) -> None:
        number = self._ask(place)
        place.host.start()
        assert "A DMS server reads" in _shown(place.now(number))[2]
        _refused(place, number, "A DMS server reads")


class TestDelete:
    def _ask(self, place: Place) -> int:
        _unmounted_elsewhere(place, 3, "two")
        return place.asks(
            "mounts.delete",
            lambda: actions.delete(place.database, ANN, job=3, target="two"),
        )

    def _entries(self, place: Place) -> int:
        with place.database.read() as session:
            return len(explorer.status(session, SYSTEM, job=3, target="two").items)

    def test_what_is_shown_is_done(self, place: Place) -> None:
        number = self._ask(place)
        now = place.now(number)
        title, rows, _note = _shown(now)
        assert (now.same, title) == (True, "Entries of backup job 3 for two")
        assert rows == [("3", "two", "not mounted")]
        assert self._entries(place) == 1
        assert place.approved(number).status == "succeeded"
        with pytest.raises(MountNotFound):
            self._entries(place)

    def test_entries_that_have_gone_are_refused(self, place: Place) -> None:
        number = self._ask(place)
        with DMSClient(place.lab.ledger_url, place.lab.broker_url) as client:
            assert client.soft_delete_entry(3, "two")
        assert _shown(place.now(number))[1] == []
        _refused(place, number, "the entries")


class TestMount:
    def test_a_mount_that_is_there_already_is_shown_so(self, place: Place) -> None:
        number = place.asks("mounts.mount", lambda: place.operate("mount", 4))
        title, rows, _note = _shown(place.now(number))
        assert title == f"Mounted there now, 2 other jobs on one at {HOST}"
        assert [row[0] for row in rows] == ["1", "2"]
        assert place.approved(number).status == "succeeded"
        assert place.mounted() == [1, 2, 3, 4]


def _unmounted_elsewhere(place: Place, job: int, target: str = "one") -> None:
    """Done by another client of the same ledger, past the portal's policies."""
    request = {**mount_request(jobid=job, target=target, host=HOST), "action": "unmount"}
    with DMSClient(place.lab.ledger_url, place.lab.broker_url) as client:
        assert client.unmount(request)["status"] == "success"
    place.host.asked.clear()
    explorer.forget_counts()
