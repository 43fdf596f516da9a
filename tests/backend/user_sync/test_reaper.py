"""Old plans go, abandoned ones fail, a killed command line is taken over, other databases work."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from backend.core import clock, secret_store
from backend.core.database import Database
from backend.migrations import runner as migrations
from backend.models import SyncPlan, SyncRow
from backend.user_sync import service, tasks
from tests.backend.user_sync.conftest import World, make_world
from tests.fixtures.database import fall_silent

ROOT = Path(__file__).resolve().parents[3]


def plans(world):
    with world.database.read() as session:
        return [p.id for p in service.list_plans(session, world.steward)]


class TestCleanup:
    def test_deletes_what_nobody_applied_and_keeps_history_and_the_newest(self, world):
        applied, unused, newest = world.plan(), world.plan(), world.plan()
        world.apply(applied, emails=["dana.fox@example.com"])
        with world.database.write() as session:
            past = clock.now() - timedelta(days=8)
            session.execute(update(SyncPlan).values(expires_at=past))
        tasks.forget_old_plans(world.database)
        assert plans(world) == [newest.id, applied.id]
        with world.database.read() as session:
            left = set(session.scalars(select(SyncRow.plan_id).distinct()))
        assert left == {newest.id, applied.id}
        assert unused.id not in left

    def test_all_are_looked_through_the_first_time_and_then_what_expired_lately(self, world):
        """A portal that stood still for months leaves nothing behind, and one that runs does not
        look at every plan that was ever applied."""
        long_ago, lately, newest = world.plan(), world.plan(), world.plan()

        def expire(plan, days):
            with world.database.write() as session:
                at = clock.now() - timedelta(days=days)
                mine = update(SyncPlan).where(SyncPlan.id == plan.id)
                session.execute(mine.values(expires_at=at))

        expire(long_ago, 90)
        tasks.forget_old_plans(world.database)
        assert plans(world) == [newest.id, lately.id]
        expire(lately, 8)
        tasks.forget_old_plans(world.database)
        assert plans(world) == [newest.id]

    def test_plans_of_dead_processes_fail(self, world):
        plan = world.plan()
        with world.database.write() as session:
            past = clock.now() - timedelta(hours=2)
            session.execute(update(SyncPlan).values(state="planning", created_at=past))
        tasks.forget_old_plans(world.database)
        with world.database.read() as session:
            found = service.get_plan(session, world.steward, plan_id=plan.id)
        assert (found.state, "Plan again" in found.error) == ("failed", True)


@pytest.mark.slow
class TestKilled:
    def test_a_command_line_killed_in_the_middle_is_continued_without_repeating_a_user(self, many):
        world = many(150)
        world.settings(limit_percent=100, concurrency=4)
        plan = world.plan()
        world.om.server.latency = 0.02
        command = [
            sys.executable,
            "-m",
            "backend",
            "users",
            "apply",
            str(plan.id),
            "--yes",
            "--json",
        ]
        # The environment of this test names the same state database.
        first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ)
        until = time.monotonic() + 90
        while sum(m == "PATCH" for m, _ in world.om.requests) < 30:
            assert first.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.wait()
        fall_silent(world.database)
        second = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert second.returncode == 0, second.stderr
        document = json.loads(second.stdout)
        assert document["summary"] == {"applied": 150, "conflict": 0, "failed": 0}
        versions = Counter(
            u["version"]
            for u in world.om.store.users.values()
            if str(u.get("displayName")).startswith("Renamed")
        )
        assert versions == {0.2: 150}  # each user was written exactly once


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def elsewhere(request, data_dir, actors, om, directory) -> World:
    database = Database(request.getfixturevalue(request.param))
    migrations.upgrade(database)
    secret_store.ensure(database, secret_store.get_vault())
    yield make_world(database, actors, om, directory)
    database.dispose()


@pytest.mark.slow
def test_plan_filter_apply_and_undo_on_other_databases(elsewhere):
    world = elsewhere
    world.directory.users.append(
        {"email": "admin@open-metadata.org", "displayName": "😀 <b>" + "א" * 9_000, "domain": None}
    )
    plan = world.plan()
    assert sum(plan.kinds.values()) == plan.directory_count
    assert [r.email for r in world.rows(plan, text="HORVAT")] == ["lena.novak@example.com"]
    assert {r.kind for r in world.rows(plan, domain="finance")} >= {"update", "unchanged"}
    run = world.apply(plan)
    assert run.counts == {"applied": plan.changes}
    with world.database.write() as session:
        inverse = service.revert(session, world.steward, run_id=run.id)
    assert world.apply(inverse).state == "succeeded"
    assert world.stored("lena.novak")["displayName"] == "Lena Novak"
    with world.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SyncRow)) > plan.directory_count


@pytest.mark.slow
def test_every_legal_name_and_one_that_cannot_be_stored_on_other_databases(elsewhere):
    world = elsewhere
    world.om.store.add_user("emoji", display_name="😀" * 9_000)
    world.directory.users.append(
        {"email": "emoji@example.com", "displayName": "😎" * 10_000, "domain": None}
    )
    world.stored("lena.novak")["displayName"] = "A\x00B"
    plan = world.plan()
    assert world.row(plan, "lena.novak@example.com").kind == "invalid"
    row = world.row(plan, "emoji@example.com")
    assert (row.old_name, row.new_name) == ("😀" * 9_000, "😎" * 10_000)
    with world.database.write() as session:
        service.ignore(
            session, world.steward, plan_id=plan.id, user_id=row.user_id, field="displayName",
            reason="fun",
        )  # fmt: skip
    assert world.row(world.plan(), "emoji@example.com").kind == "unchanged"
