"""One job from its row to its end."""

import threading

import pytest

from backend.core.access import SYSTEM, Actor
from backend.core.database import Database
from backend.jobs import broker, registry, repository, runner, service, worker
from backend.jobs.enqueue import enqueue
from backend.jobs.errors import JobInterrupted
from backend.jobs.schemas import JobView
from tests.fixtures.database import wait_until_blocked


def _queue(database: Database, kind: str, **arguments: object) -> int:
    with database.write() as session:
        return enqueue(session, SYSTEM, kind, arguments, subject="a test")


def _cancel(database: Database, job_id: int) -> None:
    with database.write() as session:
        service.cancel(session, SYSTEM, job_id=job_id)


def _get(database: Database, job_id: int) -> JobView:
    with database.read() as session:
        return service.get(session, SYSTEM, job_id=job_id)


@pytest.mark.usefixtures("kinds")
class TestRun:
    def test_stores_result_progress_and_log(self, database: Database) -> None:
        job_id = _queue(database, "test.count", to=5)
        assert runner.run(job_id, database)
        view = _get(database, job_id)
        assert (view.state, view.result) == ("succeeded", {"counted": 5})
        assert (view.progress_done, view.progress_total, view.share) == (5, 5, 1.0)
        with database.read() as session:
            lines = service.lines(session, SYSTEM, job_id=job_id)
        assert [line.line for line in lines] == ["counted"]

    def test_a_line_that_no_database_takes_ends_no_job(self, any_database: Database) -> None:
        """What a recipe's command prints may be anything."""
        job_id = _queue(any_database, "test.print")
        assert runner.run(job_id, any_database)
        view = _get(any_database, job_id)
        assert (view.state, view.note) == ("succeeded", "row �1�")
        with any_database.read() as session:
            lines = service.lines(session, SYSTEM, job_id=job_id)
        assert [line.line for line in lines] == ["row �1�"]

    def test_a_message_delivered_twice_runs_once(self, database: Database) -> None:
        job_id = _queue(database, "test.count", to=1)
        assert [runner.run(job_id, database), runner.run(job_id, database)] == [True, False]
        assert _get(database, job_id).attempt == 1

    def test_a_known_failure_ends_with_its_sentence(self, database: Database) -> None:
        job_id = _queue(database, "test.fail")
        runner.run(job_id, database)
        view = _get(database, job_id)
        assert (view.state, view.error) == ("failed", "Somewhere: nobody is there. Try later.")

    def test_a_result_that_tells_of_a_failure_is_no_success(self, database: Database) -> None:
        job_id = _queue(database, "test.told")
        runner.run(job_id, database)
        view = _get(database, job_id)
        assert (view.state, view.error) == ("failed", "Three rows and then nothing.")
        assert view.result is not None
        assert view.result["rows"] == 3

    def test_a_bug_shows_a_reference_and_nothing_else(self, database: Database) -> None:
        job_id = _queue(database, "test.bug")
        runner.run(job_id, database)
        error = _get(database, job_id).error
        assert error is not None
        assert "Reference" in error
        assert "planted-secret" not in error

    def test_is_not_sent_when_the_unit_of_work_fails(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[int] = []
        monkeypatch.setattr("backend.jobs.broker.send", lambda job_id, _: sent.append(job_id))
        with pytest.raises(RuntimeError), database.write() as session:
            enqueue(session, SYSTEM, "test.count", {"to": 1}, subject="x")
            raise RuntimeError
        assert sent == []
        with database.read() as session:
            assert service.list_jobs(session, SYSTEM).items == ()


class TestCancel:
    def test_a_running_job_stops_at_its_next_safe_point(
        self, database: Database, kinds: dict[str, threading.Event]
    ) -> None:
        job_id = _queue(database, "test.wait")
        thread = threading.Thread(target=runner.run, args=(job_id, database))
        thread.start()
        assert kinds["started"].wait(60)
        with database.write() as session:
            service.cancel(session, SYSTEM, job_id=job_id)
        thread.join(60)
        assert _get(database, job_id).state == "cancelled"

    def test_a_queued_job_never_starts(
        self, database: Database, kinds: dict[str, threading.Event]
    ) -> None:
        job_id = _queue(database, "test.wait")
        with database.write() as session:
            service.cancel(session, SYSTEM, job_id=job_id)
        assert not runner.run(job_id, database)
        assert _get(database, job_id).state == "cancelled"

    @pytest.mark.usefixtures("kinds")
    def test_a_job_that_a_worker_is_just_taking_is_asked_to_stop_not_called_cancelled(
        self, any_database: Database
    ) -> None:
        job_id = _queue(any_database, "test.count", to=1)
        with any_database.write() as session:
            assert repository.claim(session, job_id, "host:1:x")
            thread = threading.Thread(target=_cancel, args=(any_database, job_id))
            thread.start()
            wait_until_blocked(any_database, thread)  # on the claim's commit
        thread.join(60)
        view = _get(any_database, job_id)
        assert (view.state, view.error, view.cancel_requested) == ("running", None, True)

    @pytest.mark.usefixtures("kinds")
    def test_a_job_that_is_just_being_cancelled_is_not_claimed(
        self, any_database: Database
    ) -> None:
        job_id = _queue(any_database, "test.count", to=1)
        ran: list[bool] = []
        with any_database.write() as session:
            service.cancel(session, SYSTEM, job_id=job_id)
            thread = threading.Thread(target=lambda: ran.append(runner.run(job_id, any_database)))
            thread.start()
            wait_until_blocked(any_database, thread)
        thread.join(60)
        assert ran == [False]
        assert _get(any_database, job_id).state == "cancelled"

    @pytest.mark.usefixtures("kinds")
    def test_somebody_elses_job_is_refused_to_a_steward(
        self, database: Database, actors: "dict[str, Actor]"
    ) -> None:
        from backend.core.errors import NotPermitted

        job_id = _queue(database, "test.count", to=1)
        with database.write() as session, pytest.raises(NotPermitted):
            service.cancel(session, actors.steward, job_id=job_id)


class TestShutdown:
    @pytest.mark.usefixtures("kinds")
    def test_a_job_that_was_to_stop_is_not_queued_again(self, any_database: Database) -> None:
        @registry.job("test.stopped", title="Cancelled and then interrupted", resumable=True)
        def stopped(ctx: registry.JobContext) -> None:
            _cancel(any_database, ctx.job_id)
            raise JobInterrupted

        job_id = _queue(any_database, "test.stopped")
        runner.run(job_id, any_database)
        view = _get(any_database, job_id)
        assert (view.state, view.finished_at is None) == ("cancelled", False)

    @pytest.mark.parametrize(
        ("kind", "expected"), [("test.wait", "interrupted"), ("test.resume", "queued")]
    )
    def test_a_stopping_process_hands_its_job_back(
        self,
        database: Database,
        kinds: dict[str, threading.Event],
        kind: str,
        expected: str,
    ) -> None:
        job_id = _queue(database, kind)
        thread = threading.Thread(target=runner.run, args=(job_id, database))
        thread.start()
        assert kinds["started"].wait(60)
        runner.stopping.set()
        thread.join(60)
        assert _get(database, job_id).state == expected

    @pytest.mark.usefixtures("kinds")
    def test_a_stopping_process_leaves_a_queued_job_to_the_next(self, database: Database) -> None:
        job_id = _queue(database, "test.wait")
        runner.stopping.set()
        assert not runner.run(job_id, database)
        assert (_get(database, job_id).state, _get(database, job_id).attempt) == ("queued", 0)


@pytest.mark.usefixtures("kinds")
class TestWorker:
    def test_stops_though_a_job_reaches_no_safe_point(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both its queues' threads together, not each as long as the other."""
        allowed: list[float] = []
        monkeypatch.setattr(worker, "JOIN_SECONDS", 0.5)
        running = worker.start(database, queues=[broker.JOBS])
        running.consume(broker.SANDBOX)
        for each in running.workers:
            monkeypatch.setattr(each, "stop", lambda timeout, stop=each.stop: (
                allowed.append(timeout), stop(timeout=timeout)))  # fmt: skip
        go = threading.Event()

        @registry.job("test.deaf", title="No safe point")
        def deaf(_ctx: registry.JobContext) -> None:
            go.wait(60)

        job_id = _queue(database, "test.deaf")
        try:
            while _get(database, job_id).state != "running":
                go.wait(0.02)
            running.stop()
            assert not go.is_set()
        finally:
            go.set()
        assert 0 <= allowed[1] < allowed[0] <= 500
        assert service.wait(database, job_id, timeout=60).state == "succeeded"

    def test_runs_what_is_queued_and_what_was_queued_before_it_started(
        self, database: Database
    ) -> None:
        before = _queue(database, "test.count", to=2)
        running = worker.start(database, queues=[broker.JOBS])
        try:
            after = _queue(database, "test.count", to=3)
            views = [service.wait(database, job_id, timeout=60) for job_id in (before, after)]
        finally:
            running.stop()
        assert [view.state for view in views] == ["succeeded", "succeeded"]
