"""Jobs of dead processes are picked up or marked, never lost and never doubled."""

import os
import socket
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs import recovery, repository, runner, service
from backend.jobs.enqueue import enqueue
from backend.models.jobs import Job

DEAD_PID = 2**22 + 12345


def _running(database: Database, kind: str, worker: str, *, seconds_ago: float = 0) -> int:
    with database.write() as session:
        job_id = enqueue(session, SYSTEM, kind, {}, subject="a test")
    with database.write() as session:
        repository.claim(session, job_id, worker)
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(heartbeat_at=clock.now() - timedelta(seconds=seconds_ago))
        )
    return job_id


def _state(database: Database, job_id: int) -> tuple[str, str | None]:
    with database.read() as session:
        view = service.get(session, SYSTEM, job_id=job_id)
    return view.state, view.error


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sent: list[int] = []

    def send(job_id: int, _queue: str) -> bool:
        sent.append(job_id)
        return True

    monkeypatch.setattr("backend.jobs.broker.send", send)
    return sent


@pytest.mark.usefixtures("kinds")
class TestRecover:
    def test_a_job_heard_of_before_the_clock_was_set_back_counts_from_now(
        self, database: Database, sent: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = _running(database, "test.resume", "host:1:x", seconds_ago=-3600)
        sent.clear()
        assert recovery.recover(database) == []
        assert _state(database, job_id)[0] == "running"
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(seconds=61))
        assert recovery.recover(database) == [job_id]
        assert _state(database, job_id)[0] == "queued"

    def test_a_resumable_job_without_heartbeat_is_queued_again(
        self, database: Database, sent: list[int]
    ) -> None:
        job_id = _running(database, "test.resume", "host:1:x", seconds_ago=61)
        sent.clear()
        assert recovery.recover(database) == [job_id]
        assert sent == [job_id]
        assert _state(database, job_id)[0] == "queued"

    def test_another_job_is_marked_with_the_reason(
        self, database: Database, sent: list[int]
    ) -> None:
        job_id = _running(database, "test.wait", "host:1:x", seconds_ago=61)
        recovery.recover(database)
        state, error = _state(database, job_id)
        assert state == "interrupted"
        assert error == "The process that ran this job died before it ended."

    @pytest.mark.parametrize(
        "worker",
        [
            "another-host:1:x",
            f"{socket.gethostname()}:{DEAD_PID}:x",
            f"{socket.gethostname()}:{os.getpid()}:of-another-pid-namespace",
        ],
        ids=["elsewhere", "no such pid here", "this pid"],
    )
    def test_a_fresh_heartbeat_decides_whatever_host_and_pid_say(
        self, database: Database, sent: list[int], worker: str
    ) -> None:
        job_id = _running(database, "test.resume", worker)
        assert recovery.recover(database, at_start=True) == []
        assert _state(database, job_id)[0] == "running"

    def test_the_databases_clock_counts_not_the_machines(
        self, database: Database, sent: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A machine whose clock is an hour ahead asks; on SQLite both are the same clock."""
        job_id = _running(database, "test.resume", "another-host:1:x")
        there = clock.now()
        monkeypatch.setattr("backend.jobs.recovery.database_now", lambda _: there)
        monkeypatch.setattr("backend.core.clock.now", lambda: there + timedelta(hours=1))
        assert recovery.recover(database) == []
        assert _state(database, job_id)[0] == "running"

    @pytest.mark.parametrize("kind", ["test.resume", "test.wait"])
    def test_one_that_is_heard_of_in_the_last_moment_keeps_its_job(
        self, any_database: Database, sent: list[int], kind: str
    ) -> None:
        """It stood still for a minute, and beats between the look and the taking."""
        job_id = _running(any_database, kind, "host:1:x", seconds_ago=61)
        with any_database.read() as session:
            (row,) = repository.list_open(session)
        with any_database.write() as session:
            repository.heartbeat(session, [job_id], "host:1:x")
        assert not recovery._take_back(any_database, row)
        assert _state(any_database, job_id) == ("running", None)

    def test_two_that_look_at_once_take_it_back_once(
        self, any_database: Database, sent: list[int]
    ) -> None:
        job_id = _running(any_database, "test.resume", "host:1:x", seconds_ago=61)
        with any_database.read() as session:
            (row,) = repository.list_open(session)
        assert [recovery._take_back(any_database, row) for _ in range(2)] == [True, False]
        with any_database.write() as session:
            claims = [repository.claim(session, job_id, f"host:{n}:y") for n in (1, 2)]
        assert [bool(claim) for claim in claims] == [True, False]

    @pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
    def test_a_worker_whose_clock_is_wrong_beats_with_the_databases(
        self, any_database: Database, sent: list[int], monkeypatch: pytest.MonkeyPatch, hours: int
    ) -> None:
        job_id = _running(any_database, "test.resume", "host:1:x", seconds_ago=61)
        if any_database.engine.dialect.name != "sqlite":  # whose clock is the machine's
            there = clock.now() + timedelta(hours=hours)
            monkeypatch.setattr("backend.core.clock.now", lambda: there)
        with any_database.write() as session:
            repository.heartbeat(session, [job_id], "host:1:x")
        assert recovery.recover(any_database) == []
        assert _state(any_database, job_id)[0] == "running"

    def test_a_lost_message_is_sent_again(self, database: Database, sent: list[int]) -> None:
        with database.write() as session:
            job_id = enqueue(session, SYSTEM, "test.wait", {}, subject="x")
        sent.clear()
        assert recovery.recover(database) == []
        with database.write() as session:
            session.execute(update(Job).values(heartbeat_at=clock.now() - timedelta(seconds=30)))
        assert recovery.recover(database) == [job_id]

    @pytest.mark.parametrize("remote", [False, True])
    def test_what_a_start_finds_queued_went_with_the_process_that_had_the_messages(
        self,
        database: Database,
        sent: list[int],
        monkeypatch: pytest.MonkeyPatch,
        remote: bool,
    ) -> None:
        """A broker elsewhere still has them."""
        with database.write() as session:
            job_id = enqueue(session, SYSTEM, "test.wait", {}, subject="x")
        monkeypatch.setattr("backend.jobs.broker.is_remote", lambda: remote)
        sent.clear()
        assert recovery.recover(database) == []
        assert recovery.recover(database, at_start=True) == ([] if remote else [job_id])

    def test_it_is_sent_to_the_queue_of_its_kind(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _running(database, "test.resume", "host:1:x", seconds_ago=61)
        queues: list[str] = []
        monkeypatch.setattr(
            "backend.jobs.broker.send", lambda _id, queue: queues.append(queue) is None
        )
        with database.read() as session:
            (row,) = repository.list_open(session)
        recovery.recover(database)
        assert queues == [row.queue]


@pytest.mark.usefixtures("kinds", "sent")
class TestTheClock:
    """`sent`: nothing runs. Times are the database's, put by the test."""

    def _heard(self, database: Database, job_id: int) -> datetime:
        with database.read() as session:
            heard = repository.get(session, job_id).heartbeat_at
        assert heard is not None
        return heard

    def test_a_heartbeat_a_second_ahead_is_no_clock_that_was_set_back(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = _running(database, "test.resume", "host:1:x")
        before = self._heard(database, job_id)
        now = before - timedelta(seconds=1)
        monkeypatch.setattr("backend.jobs.recovery.database_now", lambda _: now)
        written: list[object] = []
        monkeypatch.setattr(repository, "heard_now", lambda _, **values: written.append(values))
        assert recovery.recover(database) == []
        assert written == []

    def test_only_what_was_heard_of_later_than_that_counts_from_now(
        self, database: Database
    ) -> None:
        ahead = _running(database, "test.resume", "host:1:x", seconds_ago=-3600)
        behind = _running(database, "test.resume", "host:2:y", seconds_ago=0.5)
        before = self._heard(database, behind)
        recovery.recover(database)
        assert self._heard(database, behind) == before
        assert self._heard(database, ahead) < clock.now() + timedelta(seconds=1)

    def test_a_minute_is_not_yet_too_long(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = _running(database, "test.resume", "host:1:x")
        limit = self._heard(database, job_id) + recovery.STALE
        monkeypatch.setattr("backend.jobs.recovery.database_now", lambda _: limit)
        assert recovery.recover(database) == []
        late = limit + timedelta(microseconds=1)
        monkeypatch.setattr("backend.jobs.recovery.database_now", lambda _: late)
        assert recovery.recover(database) == [job_id]


@pytest.mark.usefixtures("kinds", "sent")
class TestWhatIsWritten:
    @pytest.mark.parametrize(
        ("kind", "cancelled", "state", "ended"),
        [
            ("test.resume", False, "queued", False),
            ("test.resume", True, "cancelled", True),
            ("test.wait", False, "interrupted", True),
            ("test.wait", True, "cancelled", True),
        ],
    )
    def test_state_end_and_who_is_told(
        self,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        kind: str,
        cancelled: bool,
        state: str,
        ended: bool,
    ) -> None:
        job_id = _running(database, kind, "host:1:x", seconds_ago=61)
        if cancelled:
            with database.write() as session:
                session.execute(update(Job).values(cancel_requested=True))
        told: list[tuple[object, ...]] = []
        monkeypatch.setattr("backend.jobs.told.ended", lambda _, row, *rest: told.append(rest))
        with capture_logs() as said:
            recovery.recover(database)
        with database.read() as session:
            row = repository.get(session, job_id)
        assert (row.state, row.worker, row.finished_at is not None) == (state, None, ended)
        assert told == [(state, None)]
        assert said == [
            {
                "event": "Took back a job of a dead process.",
                "log_level": "warning",
                "job_id": job_id,
                "kind": kind,
                "state": state,
            }
        ]


@pytest.mark.usefixtures("kinds")
class TestLostLease:
    def test_a_worker_that_lost_its_job_writes_nothing_more(
        self, database: Database, sent: list[int]
    ) -> None:
        job_id = _running(database, "test.resume", runner.worker_name())
        with database.read() as session:
            context = runner.Context(
                database, repository.get(session, job_id), runner.worker_name()
            )
        with database.write() as session:
            session.execute(update(Job).values(worker="other:1:x", attempt=2))
        from backend.jobs.errors import JobLost

        with pytest.raises(JobLost):
            context.progress(1, 2)
