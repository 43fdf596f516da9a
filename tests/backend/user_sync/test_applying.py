"""Runs against a real HTTP server: outcomes, limits, crashes, cancellation, outages."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from backend.core import audit
from backend.core.errors import NotPermitted
from backend.sandbox.openmetadata import StandIn, seeding
from backend.user_sync import applying, service
from backend.user_sync.errors import (
    AppliedWithout,
    ConfirmationNeeded,
    ElsewhereNow,
    NothingToApply,
    NotInPlan,
    PlanExpired,
)
from backend.user_sync.schemas import Settings
from tests.backend.user_sync.conftest import expire, lose, sent


class TestApply:
    def test_stores_every_change_and_a_new_plan_is_empty(self, world):
        plan = world.plan()
        run = world.apply(plan)
        assert (run.state, run.counts) == ("succeeded", {"applied": plan.changes})
        again = world.plan()
        assert again.changes == 0
        assert again.kinds["unknown_domain"] == plan.kinds["unknown_domain"]

    def test_touches_only_what_is_ticked_and_keeps_everything_else_of_a_user(self, world):
        plan = world.plan()
        before = {k: dict(v) for k, v in world.om.store.users.items()}
        row = world.row(plan, "anna.kowalska@example.com")
        run = world.apply(plan, user_ids=[row.user_id])
        assert run.total == 1
        changed = {k for k, v in world.om.store.users.items() if v != before[k]}
        assert changed == {row.user_id}
        user = world.om.store.users[row.user_id]
        for kept in ("roles", "teams", "profile", "email", "isAdmin"):
            assert user[kept] == before[row.user_id][kept]

    def test_emails_tick_users_whatever_the_case(self, world):
        run = world.apply(world.plan(), emails=["DANA.fox@example.com"])
        assert set(world.items(run)) == {"dana.fox@example.com"}

    def test_an_unknown_domain_is_never_written_but_its_name_is(self, world):
        plan = world.plan()
        world.apply(plan, emails=["elif.yilmaz@example.com"])
        user = world.stored("elif.yilmaz")
        assert user["displayName"] == "Elif Yılmaz"
        assert [d["name"] for d in user["domains"]] == ["Research"]

    def test_a_row_that_moved_is_a_conflict_and_the_others_are_applied(self, world):
        plan = world.plan()
        world.om.store.edit_user("anna.kowalska", by="eve", display_name="Anna Nowak")
        run = world.apply(plan)
        assert run.state == "partial"
        assert run.counts == {"applied": plan.changes - 1, "conflict": 1}
        item = world.items(run)["anna.kowalska@example.com"]
        assert item.state == "conflict"
        assert "eve" in item.reason
        assert world.stored("anna.kowalska")["displayName"] == "Anna Nowak"

    def test_users_not_in_the_plan_are_refused_before_anything_is_sent(self, world):
        plan = world.plan()
        unchanged = world.row(plan, "brian_smith7@example.com")
        for more in ({"user_ids": [unchanged.user_id]}, {"emails": ["nobody@example.com"]}):
            with pytest.raises(NotInPlan):
                world.start(plan, **more)
        with pytest.raises(NothingToApply):
            world.start(plan, user_ids=[])

    def test_a_plan_for_another_server_is_refused_and_not_used_up(self, world):
        plan, home = world.plan(), world.om
        with StandIn(seed=seeding.seed_demo) as other:
            world.use(other)
            with pytest.raises(ElsewhereNow) as caught:
                world.start(plan)
            assert caught.value.status == 409
            assert other.url in caught.value.message
            assert not other.requests
        world.use(home)
        assert world.apply(plan).state == "succeeded"

    def test_a_run_whose_server_is_another_one_by_now_stops(self, world):
        run = world.start(world.plan())
        with StandIn(seed=seeding.seed_demo) as other:
            world.use(other)
            ended = service.execute(world.database, world.steward, run_id=run.id)
        assert (ended.state, set(ended.counts)) == ("stopped", {"pending"})
        assert "Plan again" in ended.note

    def test_a_second_apply_gets_the_first_ones_run(self, world):
        plan = world.plan()
        first = world.apply(plan, emails=["dana.fox@example.com"])
        second = world.start(plan, emails=["dana.fox@example.com"])
        assert (second.id, second.reused, second.total) == (first.id, True, 1)

    def test_a_second_apply_of_other_users_is_refused_and_not_taken_for_done(self, world):
        plan = world.plan()
        first = world.apply(plan, emails=["dana.fox@example.com"])
        other = world.row(plan, "anna.kowalska@example.com")
        for more in ({"emails": [other.email]}, {"user_ids": [other.user_id]}, {}):
            with pytest.raises(AppliedWithout, match=f"by run {first.id}, without .*plan again"):
                world.start(plan, **more)
        assert world.stored("anna.kowalska")["displayName"] == other.old_name

    def test_two_people_at_the_same_moment_get_one_run(self, many):
        world = many(30)
        plan = world.plan()
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(lambda _n: world.start(plan), range(4)))
        assert len({run.id for run in runs}) == 1
        assert [run.reused for run in runs].count(False) == 1
        with ThreadPoolExecutor(3) as pool:
            list(
                pool.map(
                    lambda _n: service.execute(world.database, world.steward, run_id=runs[0].id),
                    range(3),
                )
            )
        assert {
            u["version"]
            for u in world.om.store.users.values()
            if str(u.get("displayName")).startswith("Renamed")
        } == {0.2}

    def test_an_expired_plan_is_refused(self, world):
        plan = world.plan()
        expire(world, timedelta(seconds=1))
        with pytest.raises(PlanExpired):
            world.start(plan)

    def test_a_run_found_long_after_its_plan_expired_writes_nothing(self, world):
        run = world.start(world.plan())
        expire(world, timedelta(days=3))
        ended = service.execute(world.database, world.steward, run_id=run.id)
        assert (ended.state, set(ended.counts)) == ("stopped", {"pending"})
        assert "expired" in ended.note
        assert not sent(world)

    def test_a_run_that_waited_a_moment_too_long_for_its_worker_is_done_all_the_same(self, world):
        run = world.start(world.plan())
        expire(world, timedelta(minutes=1))
        ended = service.execute(world.database, world.steward, run_id=run.id)
        assert ended.state == "succeeded"

    def test_operators_may_not_apply(self, world, actors):
        plan = world.plan()
        with world.database.write() as session, pytest.raises(NotPermitted):
            service.apply(session, actors.operator, plan_id=plan.id)

    def test_is_audited_before_and_after_and_nobodys_name_is_in_it(self, world):
        world.apply(world.plan())
        with world.database.read() as session:
            events = session.query(audit.AuditEvent).filter_by(action="user_sync:plan:apply").all()
            assert [e.phase for e in events] == ["intent", "outcome"]
            assert not any("Kowalska" in e.details or "@example" in e.details for e in events)
            assert audit.verify(session).ok


class TestLimit:
    def test_from_100_users_up_a_fifth_needs_the_number_typed(self, many):
        world = many(120)
        plan = world.plan()
        with pytest.raises(ConfirmationNeeded) as caught:
            world.start(plan)
        assert (caught.value.users, caught.value.status) == (120, 409)
        with pytest.raises(ConfirmationNeeded):
            world.start(plan, confirm="yes")
        assert world.start(plan, confirm=" 120 ").total == 120

    def test_below_a_fifth_needs_nothing(self, many):
        world = many(120)
        plan = world.plan()
        ids = [r.user_id for r in world.rows(plan)][:24]
        assert world.start(plan, user_ids=ids).total == 24

    @pytest.mark.parametrize(
        ("users", "matched", "over"),
        [(99, 99, False), (20, 100, False), (21, 100, True), (24, 120, False), (25, 120, True)],
    )
    def test_begins_above_a_fifth_of_100(self, users, matched, over):
        assert Settings().exceeded_by(users, matched) is over

    def test_small_companies_are_not_asked(self, many):
        world = many(99)
        assert world.start(world.plan()).total == 99

    def test_is_a_setting(self, many):
        world = many(120)
        world.settings(limit_percent=100)
        assert world.start(world.plan()).total == 120


class TestBadDays:
    def test_openmetadata_down_in_the_middle_stops_and_can_be_continued(self, many):
        world = many(60)
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=30, status=503)
        run = world.apply(plan)
        assert run.state == "stopped"
        assert "not available" in run.note
        assert 0 < run.counts["applied"] < 60
        assert run.counts["applied"] + run.counts["pending"] + run.counts["unknown"] == 60
        world.om.faults.clear()
        with world.database.write() as session:
            service.resume(session, world.steward, run_id=run.id, background=False)
        before = len(sent(world))
        run2 = service.execute(world.database, world.steward, run_id=run.id)
        assert (run2.state, run2.counts) == ("succeeded", {"applied": 60})
        assert len(sent(world)) - before <= run.unsettled + 1  # the probe is one

    def test_the_server_gone_altogether(self, many):
        world = many(20)
        plan = world.plan()
        world.om.close()
        run = world.apply(plan)
        assert (run.state, run.counts) == ("stopped", {"pending": 20})

    def test_one_hiccup_does_not_stop_a_run(self, many):
        world = many(30)
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=10, times=1, status=503)
        assert world.apply(plan).counts == {"applied": 30}

    def test_a_hiccup_on_the_last_user_does_not_leave_it_out(self, many):
        world = many(5)
        plan = world.plan()
        last = world.rows(plan)[-1].user_id
        world.om.faults.add(method="PATCH", path=f"/users/{last}$", times=1, status=503)
        run = world.apply(plan)
        assert (run.state, run.counts) == ("succeeded", {"applied": 5})

    @pytest.mark.parametrize(("method", "status"), [("GET", 504), ("GET", 429), ("PATCH", 429)])
    def test_a_server_that_has_no_time_stops_a_run_and_fails_nobody(self, many, method, status):
        world = many(40)
        plan = world.plan()
        path = r"/users/[0-9a-f-]{36}$"
        world.om.faults.add(method=method, path=path, after=11, status=status)
        run = world.apply(plan)
        assert (run.state, set(run.counts)) == ("stopped", {"applied", "pending"})
        world.om.faults.clear()
        assert world.resume(run).counts == {"applied": 40}

    def test_a_short_limit_of_requests_slows_a_run_down_and_no_more(self, many):
        world = many(40)
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=5, times=20, status=429)
        assert world.apply(plan).counts == {"applied": 40}

    def test_writes_that_are_never_answered_stop_a_run(self, many):
        world = many(60)
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=10, drop="before")
        run = world.apply(plan)
        assert (run.state, set(run.counts)) == ("stopped", {"applied", "pending", "unknown"})
        world.om.faults.clear()
        assert world.resume(run).counts == {"applied": 60}

    def test_a_write_stored_unseen_is_found_by_continuing(self, many):
        world = many(6)
        plan = world.plan()
        user_id = world.rows(plan)[2].user_id
        lose(world, user_id)
        run = world.apply(plan)
        assert (run.state, run.counts) == ("partial", {"applied": 5, "unknown": 1})
        world.om.faults.clear()
        before = len(sent(world))
        again = world.resume(run)
        assert (again.state, again.counts) == ("succeeded", {"applied": 6})
        assert len(sent(world)) == before
        assert {item.stored for item in world.items(again).values()} == {("displayName",)}

    def test_a_token_that_expires_midway_stops_with_the_time(self, many):
        world = many(40)
        plan = world.plan()
        body = b'{"code": 401, "message": "Expired token!"}'
        world.om.faults.add(method="PATCH", after=15, status=401, body=body)
        run = world.apply(plan)
        assert run.state == "stopped"
        assert "token" in run.note
        assert run.counts["pending"] >= 40 - 15 - 12

    def test_a_token_that_may_change_domains_but_not_names(self, world):
        world.use(world.om, "ingestion-bot")
        run = world.apply(world.plan())
        items = world.items(run)
        assert run.state == "partial"
        assert items["carla.chen@example.com"].state == "applied"  # domains only
        assert items["lena.novak@example.com"].state == "failed"  # name only
        both = items["aaron_johnson0@example.com"]
        assert (both.state, both.stored) == ("failed", ("domains",))
        assert "bot" in both.reason

    def test_a_dropped_connection_is_read_back(self, many):
        world = many(20)
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=1, times=2, drop="after")
        run = world.apply(plan)
        assert run.counts == {"applied": 20}
        assert sum("answer was lost" in i.reason for i in world.items(run).values()) == 2

    def test_a_storm_of_412_is_a_conflict_for_each(self, many):
        world = many(5)
        plan = world.plan()
        world.om.faults.add(method="PATCH", after=1, status=412)
        assert world.apply(plan).counts == {"conflict": 5}

    def test_a_bug_in_one_row_costs_one_row(self, many, monkeypatch):
        world = many(10)
        plan = world.plan()
        real = applying.Writer.write

        def broken(self, change):
            if change.email.startswith("user0003"):
                raise ZeroDivisionError
            return real(self, change)

        monkeypatch.setattr(applying.Writer, "write", broken)
        assert world.apply(plan).counts == {"applied": 9, "unknown": 1}
