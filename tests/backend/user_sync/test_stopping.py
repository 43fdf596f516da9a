"""Runs that are cancelled, interrupted, killed, taken over and continued."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.jobs.errors import JobCancelled, JobInterrupted
from backend.models import SyncItem, SyncRun
from backend.user_sync import applying, planning, service
from backend.user_sync.errors import NothingToContinue, PlanExpired, RunActive
from tests.backend.user_sync.conftest import StopAt, expire, sent


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
        with world.database.write() as session:
            session.execute(update(SyncItem).where(SyncItem.position < 6).values(state="sending"))
            session.execute(
                update(SyncRun).values(
                    state="running",
                    claimed_by="dead",
                    heartbeat_at=clock.now() - timedelta(hours=1),
                )
            )
        for number in range(3):
            name = f"user{number:04d}"
            world.om.store.edit_user(name, by="portal-admin", display_name=f"Renamed {number:04d}")
        ended = service.execute(world.database, world.steward, run_id=run.id)
        assert ended.counts == {"applied": 10}
        settled = [i for i in world.items(run).values() if "interruption" in i.reason]
        assert len(settled) == 3
        assert len(set(sent(world))) == 7

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
