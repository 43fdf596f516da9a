"""Failed, unknown and stuck jobs on the Overview."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from backend.core import alerts as core_alerts
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.core.database import Database
from backend.jobs import alerts, runner
from backend.jobs.enqueue import enqueue
from backend.models.jobs import Job

pytestmark = pytest.mark.usefixtures("kinds")


def ask(database: Database, kind: str, subject: str = "it") -> int:
    with database.write() as session:
        return enqueue(
            session, SYSTEM, kind, {"to": 1} if kind == "test.count" else {}, subject=subject
        )


def shown(database: Database) -> list[Alert]:
    with database.read() as session:
        return alerts.alerts(session, SYSTEM)


def put(database: Database, job_id: int, **values: object) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


class TestEnded:
    def test_a_failed_job_is_among_what_needs_attention(self, database: Database) -> None:
        job_id = ask(database, "test.fail")
        runner.run(job_id, database)
        with database.read() as session:
            found = core_alerts.collect(session, SYSTEM).items
        mine = [item for item in found if item.page == "jobs"]
        assert [(item.severity, item.query) for item in mine] == [
            ("warning", (("job", str(job_id)),))
        ]
        assert "Fail (it), failed. Somewhere" in mine[0].text

    def test_a_later_good_run_of_the_same_answers_it(self, database: Database) -> None:
        bad, other = ask(database, "test.count", "a"), ask(database, "test.count", "b")
        put(database, bad, state="failed", finished_at=clock.now())
        put(database, other, state="failed", finished_at=clock.now())
        runner.run(ask(database, "test.count", "a"), database)
        assert [item.query for item in shown(database)] == [(("job", str(other)),)]

    def test_one_that_runs_again_does_not_hide_the_last_end(self, database: Database) -> None:
        bad = ask(database, "test.count")
        put(database, bad, state="failed", finished_at=clock.now())
        ask(database, "test.count")
        assert [item.query for item in shown(database)] == [(("job", str(bad)),)]

    @pytest.mark.parametrize(
        ("state", "severity"), [("interrupted", "warning"), ("unknown", "error")]
    )
    def test_other_bad_ends(self, database: Database, state: str, severity: str) -> None:
        put(database, ask(database, "test.count"), state=state, finished_at=clock.now())
        assert [item.severity for item in shown(database)] == [severity]

    def test_old_ones_are_forgotten_and_many_are_counted(self, database: Database) -> None:
        for number in range(9):
            ended = clock.now() - timedelta(days=0 if number else 8)
            put(
                database,
                ask(database, "test.count", f"s{number}"),
                state="failed",
                finished_at=ended,
            )
        found = shown(database)
        assert len(found) == 6
        assert found[-1].text == "3 more jobs did not end well in the last 7 days."
        assert found[-1].count == 3


class TestStuck:
    def test_running_without_a_heartbeat(self, database: Database) -> None:
        job_id = ask(database, "test.count")
        put(database, job_id, state="running", heartbeat_at=clock.now() - timedelta(minutes=3))
        [item] = shown(database)
        assert item.severity == "error"
        assert "its worker no longer answers" in item.text

    def test_waiting_for_a_worker_that_never_comes(self, database: Database) -> None:
        put(database, ask(database, "test.count"), created_at=clock.now() - timedelta(minutes=16))
        [item] = shown(database)
        assert "no worker takes it" in item.text

    def test_many_are_counted(self, database: Database) -> None:
        for number in range(8):
            put(
                database,
                ask(database, "test.count", f"s{number}"),
                created_at=clock.now() - timedelta(minutes=16),
            )
        found = shown(database)
        assert [item.query for item in found] == [(("job", str(n)),) for n in range(1, 6)] + [()]
        assert (found[-1].text, found[-1].count) == ("3 more jobs are stuck.", 3)
        put(database, 8, created_at=clock.now())
        put(database, 7, created_at=clock.now())
        assert shown(database)[-1].text == "1 more job is stuck."

    def test_what_moves_is_not_told(self, database: Database) -> None:
        ask(database, "test.count")
        put(database, ask(database, "test.count"), state="running")
        assert shown(database) == []


def test_every_role_that_sees_jobs_sees_them(database: Database, actors: SimpleNamespace) -> None:
    runner.run(ask(database, "test.fail"), database)
    with database.read() as session:
        assert len(alerts.alerts(session, actors.viewer)) == 1
