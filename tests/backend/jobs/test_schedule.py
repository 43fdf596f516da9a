"""One leader at a time; a change of leader neither skips nor doubles a run."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.composition import DOMAINS
from backend.core import clock
from backend.core.database import Database
from backend.jobs import runner, schedule
from backend.models.jobs import Lease, ScheduleMark
from tests.fixtures.database import wait_until_blocked


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    ran: list[str] = []
    monkeypatch.setattr(schedule, "_tasks", {})
    schedule.every("test.often", minutes=5)(lambda _: ran.append("often"))

    @schedule.every("test.broken", minutes=5)
    def broken(_: Database) -> None:
        ran.append("broken")
        raise RuntimeError

    schedule.every("test.after", minutes=5)(lambda _: ran.append("after"))
    return ran


class TestLead:
    def test_the_first_process_leads_and_renews(self, database: Database) -> None:
        assert schedule.lead(database)
        assert schedule.lead(database)

    def test_a_second_process_waits_until_the_lease_runs_out(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert schedule.lead(database)
        monkeypatch.setattr(runner, "worker_name", lambda: "other:1:x")
        assert not schedule.lead(database)
        with database.write() as session:
            session.execute(update(Lease).values(expires_at=clock.now() - timedelta(seconds=1)))
        assert schedule.lead(database)

    def test_who_hosts_the_sandbox_leads_and_others_give_way(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert schedule.lead(database)
        monkeypatch.setattr(runner, "worker_name", lambda: "host:1:x")
        assert not schedule.lead(database, hosts_sandbox=True)
        monkeypatch.undo()
        assert not schedule.lead(database)
        assert _leader(database) is None
        monkeypatch.setattr(runner, "worker_name", lambda: "host:1:x")
        assert schedule.lead(database, hosts_sandbox=True)
        assert _leader(database) == "host:1:x"

    def test_a_host_that_died_or_ended_leaves_the_schedule_to_others(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for ends in (_run_out, schedule.release):
            monkeypatch.setattr(runner, "worker_name", lambda: "host:1:x")
            assert schedule.lead(database, hosts_sandbox=True)
            monkeypatch.setattr(runner, "worker_name", lambda: "worker:1:x")
            assert not schedule.lead(database)
            monkeypatch.setattr(runner, "worker_name", lambda: "host:1:x")
            ends(database)
            monkeypatch.setattr(runner, "worker_name", lambda: "worker:1:x")
            assert schedule.lead(database)
            schedule.release(database)

    def test_a_released_lease_is_free_at_once(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        schedule.lead(database)
        schedule.release(database)
        monkeypatch.setattr(runner, "worker_name", lambda: "other:1:x")
        assert schedule.lead(database)


class TestClockSetBack:
    """By an hour: what was noted before lies in the future."""

    @pytest.fixture(autouse=True)
    def set_back(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        real = clock.now

        def back(hours: int = 1) -> None:
            monkeypatch.setattr(clock, "now", lambda: real() - timedelta(hours=hours))

        return back

    def test_a_task_is_due_at_once_and_then_once_per_interval(
        self, database: Database, ran: list[str], set_back: Callable[[], None]
    ) -> None:
        schedule.run_due(database)
        set_back()
        ran.clear()
        schedule.run_due(database)
        schedule.run_due(database)
        assert ran == ["often", "broken", "after"]

    @pytest.mark.parametrize("host", [False, True])
    def test_the_lease_of_a_dead_process_runs_out_within_its_time(
        self,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        set_back: Callable[[], None],
        host: bool,
    ) -> None:
        monkeypatch.setattr(runner, "worker_name", lambda: "dead:1:x")
        assert schedule.lead(database, hosts_sandbox=host)
        set_back()
        monkeypatch.setattr(runner, "worker_name", lambda: "other:1:x")
        assert not schedule.lead(database)
        with database.read() as session:
            lease = session.get(Lease, schedule.HOST_LEASE if host else schedule.LEASE_NAME)
            assert lease is not None
            left = lease.expires_at - clock.now()
        assert left <= timedelta(seconds=schedule.LEASE_SECONDS)


def _leader(database: Database) -> str | None:
    with database.read() as session:
        return schedule.leader(session)


def _run_out(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Lease).values(expires_at=clock.now() - timedelta(seconds=1)))


class TestRunDue:
    def test_runs_each_task_once_per_interval(self, database: Database, ran: list[str]) -> None:
        schedule.run_due(database)
        schedule.run_due(database)
        assert ran == ["often", "broken", "after"]
        with database.write() as session:
            session.execute(
                update(ScheduleMark)
                .where(ScheduleMark.name == "test.often")
                .values(last_run_at=clock.now() - timedelta(minutes=6))
            )
        schedule.run_due(database)
        assert ran[3:] == ["often"]

    def test_runs_none_in_a_process_that_stops(self, database: Database, ran: list[str]) -> None:
        runner.stopping.set()
        assert schedule.run_due(database) == []
        assert ran == []
        runner.stopping.clear()
        assert schedule.run_due(database) != []

    def test_a_tick_that_comes_a_moment_early_takes_the_turn(
        self, database: Database, ran: list[str]
    ) -> None:
        schedule.run_due(database)
        ran.clear()
        _last_run(database, timedelta(minutes=4))
        assert schedule.run_due(database) == []
        _last_run(database, timedelta(minutes=5) - schedule.EARLY)
        assert schedule.run_due(database) == ["test.often", "test.broken", "test.after"]

    def test_ticks_are_as_close_as_the_shortest_interval(self) -> None:
        for domain in DOMAINS:
            domain.tasks()  # its import registers them
        shortest = min(task.interval for task in schedule._tasks.values())
        assert shortest == timedelta(seconds=schedule.TICK_SECONDS)

    def test_of_two_leaders_at_a_tasks_first_run_one_takes_the_turn(
        self, any_database: Database, ran: list[str]
    ) -> None:
        """The lease of a leader that hangs runs out, and another process leads."""
        turns: list[bool] = []
        often = schedule._tasks["test.often"]

        def other() -> None:
            turns.append(schedule._take_turn(any_database, often))

        with any_database.write() as session:
            session.add(ScheduleMark(name="test.often", last_run_at=clock.now()))
            session.flush()
            thread = threading.Thread(target=other)
            thread.start()
            wait_until_blocked(any_database, thread)
        thread.join(60)
        assert turns == [False]

    def test_a_task_made_due_runs_at_the_next_tick(
        self, database: Database, ran: list[str]
    ) -> None:
        schedule.run_due(database)
        ran.clear()
        schedule.make_due(database, ["test.after", "test.unknown"])
        schedule.run_due(database)
        assert ran == ["after"]


def _last_run(database: Database, ago: timedelta) -> None:
    with database.write() as session:
        session.execute(update(ScheduleMark).values(last_run_at=clock.now() - ago))
