"""Runs that are cancelled, interrupted, killed, taken over and continued."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.jobs.errors import JobCancelled, JobInterrupted
from backend.models import SyncItem, SyncRun
from backend.user_sync import alerts, applying, planning, run_repository, service, tasks
from backend.user_sync.errors import NothingToContinue, PlanExpired, RunActive
from tests.backend.user_sync.conftest import StopAt, expire, sent
from tests.fixtures.database import fall_silent


def crash(world, *, sending):
    """As after kill -9 on another machine, an hour ago, with so many users under way."""
    with world.database.write() as session:
        under_way = update(SyncItem).where(SyncItem.position < sending)
        session.execute(under_way.values(state="sending"))
        session.execute(
            update(SyncRun).values(
                state="running",
                claimed_by="elsewhere:99:abc",
                heartbeat_at=clock.now() - timedelta(hours=1),
            )
        )


class TestStopping:
    def test_cancelling_keeps_what_was_done_and_leaves_the_rest(self, many):
        world = many(60)
        run = world.start(world.plan())
        with pytest.raises(JobCancelled):
            service.execute(
                world.database, world.steward, run_id=run.id, control=StopAt(10, JobCancelled())
            )
        with world.database.read() as session:
            ended = service.get_run(session, world.steward, run_id=run.id)
        assert ended.state == "cancelled"
        assert ended.counts["applied"] >= 10
        assert ended.counts["pending"] > 0
        assert "sending" not in ended.counts
        renamed = sum(
            str(u.get("displayName")).startswith("Renamed") for u in world.om.store.users.values()
        )
        assert renamed == ended.counts["applied"]

    def test_a_run_whose_plan_expired_is_not_continued(self, many):
        world = many(30)
        run = world.start(world.plan())
        with pytest.raises(JobCancelled):
            service.execute(
                world.database, world.steward, run_id=run.id, control=StopAt(5, JobCancelled())
            )
        expire(world, timedelta(seconds=1))
        with world.database.write() as session, pytest.raises(PlanExpired, match="Plan again"):
            service.resume(session, world.steward, run_id=run.id)
        with world.database.read() as session:
            assert service.get_run(session, world.steward, run_id=run.id).state == "cancelled"

    def test_an_interrupted_job_is_queued_again_and_goes_on(self, many):
        world = many(40)
        run = world.start(world.plan())
        token = "job:1"
        with pytest.raises(JobInterrupted):
            applying.execute(world.database, run.id, StopAt(10, JobInterrupted()), token=token)
        ended = applying.execute(world.database, run.id, planning.Silent(), token=token)
        assert ended.counts == {"applied": 40}
        assert len(set(sent(world))) == 40

    def test_a_crash_repeats_no_user(self, many):
        """As after kill -9: rows say `sending`, some of them were stored and some were not."""
        world = many(10)
        run = world.start(world.plan())
        crash(world, sending=6)
        for number in range(3):
            name = f"user{number:04d}"
            world.om.store.edit_user(name, by="portal-admin", display_name=f"Renamed {number:04d}")
        ended = service.execute(world.database, world.steward, run_id=run.id)
        assert ended.counts == {"applied": 10}
        settled = [i for i in world.items(run).values() if "interruption" in i.reason]
        assert len(settled) == 3
        assert len(set(sent(world))) == 7

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_hiccup_after_a_crash_looks_at_each_user_once_at_a_time(
        self, many, monkeypatch, times
    ):
        world = many(8)
        run = world.start(world.plan())
        crash(world, sending=3)
        first = world.rows(run.plan_id)[0].user_id
        world.om.faults.add(
            method="PATCH", path=f"/users/{first}$", after=1, times=times, status=503
        )
        under_way, real_wait, real_record = [], applying.wait, run_repository.record

        def record(session, run_id, token, *, intents, outcomes):
            for position, _ in outcomes:
                under_way.remove(position)
            assert not set(under_way) & set(intents)
            under_way.extend(intents)
            return real_record(session, run_id, token, intents=intents, outcomes=outcomes)

        def wait(*given, **more):
            # Everything under way lands in one go.
            return real_wait(*given)

        monkeypatch.setattr(applying, "wait", wait)
        monkeypatch.setattr(run_repository, "record", record)
        ended = service.execute(world.database, world.steward, run_id=run.id)
        assert ended.counts == {"applied": 8}
        assert {item.stored for item in world.items(ended).values()} == {("displayName",)}

    def test_a_run_at_work_elsewhere_is_left_alone(self, many):
        world = many(3)
        run = world.start(world.plan())
        with world.database.write() as session:
            session.execute(
                update(SyncRun).values(
                    state="running", claimed_by="other", heartbeat_at=clock.now()
                )
            )
        assert service.execute(world.database, world.steward, run_id=run.id).state == "running"
        assert not sent(world)

    def test_a_worker_that_lost_its_run_stops_writing(self, many):
        world = many(200)
        world.settings(limit_percent=100, concurrency=2)

        class Stolen(planning.Silent):
            def progress(self, done, total=None, *, note=""):
                if done >= 5:
                    with world.database.write() as session:
                        session.execute(update(SyncRun).values(claimed_by="thief"))

        run = world.start(world.plan())
        with pytest.raises(applying.JobLost):
            service.execute(world.database, world.steward, run_id=run.id, control=Stolen())
        assert len(sent(world)) < 50

    def test_a_run_that_ended_is_not_run_again(self, world):
        run = world.apply(world.plan())
        before = len(sent(world))
        assert service.execute(world.database, world.steward, run_id=run.id).state == "succeeded"
        assert len(sent(world)) == before

    def test_only_an_ended_run_with_something_left_can_be_continued(self, world):
        run = world.start(world.plan())
        with world.database.write() as session, pytest.raises(RunActive):
            service.resume(session, world.steward, run_id=run.id)
        service.execute(world.database, world.steward, run_id=run.id)
        with world.database.write() as session, pytest.raises(NothingToContinue) as caught:
            service.resume(session, world.steward, run_id=run.id)
        assert "10 applied" in caught.value.message
        assert "Plan again" in caught.value.message


class TestAbandoned:
    """Runs whose process died or could not write the end."""

    @pytest.fixture
    def dead(self, many):
        """(world, run): a run of the command line, killed with two users under way, one stored."""
        world = many(6)
        run = world.start(world.plan())
        crash(world, sending=2)
        world.om.store.edit_user("user0000", by="portal-admin", display_name="Renamed 0000")
        return world, run

    def view(self, world, run):
        with world.database.read() as session:
            return service.get_run(session, world.steward, run_id=run.id)

    def test_is_stopped_by_the_schedule_and_said_on_the_overview(self, dead):
        world, run = dead
        tasks.stop_abandoned_runs(world.database)
        ended = self.view(world, run)
        assert (ended.state, ended.counts) == ("stopped", {"pending": 4, "unknown": 2})
        assert "can be continued" in ended.note
        with world.database.read() as session:
            [said] = alerts.alerts(session, world.steward)
        assert f"Run {run.id}" in said.text
        assert world.resume(run).counts == {"applied": 6}
        assert len(set(sent(world))) == 5

    def test_can_be_continued_before_the_schedule_came_round(self, dead):
        world, run = dead
        assert world.resume(run).counts == {"applied": 6}

    def test_can_be_undone(self, dead):
        world, run = dead
        with world.database.write() as session:
            inverse = service.revert(session, world.steward, run_id=run.id)
        assert inverse.changes == 2
        assert world.apply(inverse).counts == {"applied": 2}
        assert world.stored("user0000")["displayName"] == "User 0000"

    def test_a_user_left_alone_since_is_not_written_and_the_undo_still_looks_at_it(self, dead):
        world, run = dead
        newer = world.plan()
        user_id = world.row(newer, "user0001@example.com").user_id
        with world.database.write() as session:
            service.ignore(
                session,
                world.steward,
                plan_id=newer.id,
                user_id=user_id,
                field="displayName",
                reason="agreed with HR",
            )
        again = world.resume(run)
        assert again.counts == {"applied": 5, "unknown": 1}
        assert world.stored("user0001")["displayName"] == "User 0001"
        with world.database.write() as session:
            assert service.revert(session, world.steward, run_id=run.id).changes == 6

    def test_is_stopped_when_somebody_cancels_it(self, dead):
        world, run = dead
        with world.database.write() as session:
            assert service.cancel(session, world.steward, run_id=run.id).state == "stopped"

    def test_a_job_that_is_still_open_takes_its_run_up_itself(self, many, monkeypatch):
        world = many(4)
        monkeypatch.setattr(broker, "send", lambda *_: None)
        with world.database.write() as session:
            run = service.apply(session, world.steward, plan_id=world.plan().id)
        crash(world, sending=1)
        tasks.stop_abandoned_runs(world.database)
        assert self.view(world, run).state == "running"
        runner.run(run.job_id, world.database)
        assert self.view(world, run).counts == {"applied": 4}

    def test_a_run_whose_waiting_job_was_cancelled_ends_too(self, many, monkeypatch):
        world = many(4)
        monkeypatch.setattr(broker, "send", lambda *_: None)
        with world.database.write() as session:
            run = service.apply(session, world.steward, plan_id=world.plan().id)
            jobs.cancel(session, world.steward, job_id=run.job_id)
            session.execute(update(SyncRun).values(heartbeat_at=clock.now() - timedelta(hours=1)))
        tasks.stop_abandoned_runs(world.database)
        assert self.view(world, run).state == "stopped"
        assert world.resume(run).counts == {"applied": 4}

    def test_a_run_heard_of_before_the_clock_was_set_back_counts_from_now(self, dead):
        world, run = dead
        with world.database.write() as session:
            session.execute(update(SyncRun).values(heartbeat_at=clock.now() + timedelta(hours=1)))
        tasks.stop_abandoned_runs(world.database)
        with world.database.read() as session:
            assert session.get(SyncRun, run.id).heartbeat_at <= clock.now()
        fall_silent(world.database)
        tasks.stop_abandoned_runs(world.database)
        assert self.view(world, run).state == "stopped"

    def test_a_run_at_work_is_left_at_work(self, many):
        world = many(4)
        run = world.start(world.plan())
        tasks.stop_abandoned_runs(world.database)
        assert self.view(world, run).state == "queued"
        with world.database.write() as session, pytest.raises(RunActive):
            service.revert(session, world.steward, run_id=run.id)


class TestJob:
    def test_of_a_run_that_changed_nobody_has_failed(self, many, monkeypatch):
        world = many(5)
        plan = world.plan()
        monkeypatch.setattr(broker, "send", lambda *_: None)
        world.om.faults.add(method="PATCH", after=1, status=400)
        with world.database.write() as session:
            run = service.apply(session, world.steward, plan_id=plan.id)
        runner.run(run.job_id, world.database)
        with world.database.read() as session:
            job = jobs.get(session, world.steward, job_id=run.job_id)
        assert (job.state, job.result["counts"]) == ("failed", {"failed": 5})
        assert "5 failed" in job.error
