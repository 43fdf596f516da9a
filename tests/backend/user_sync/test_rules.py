"""Ignored differences, settings, the schedule, and the notice for the Overview."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from backend.accounts import service as accounts
from backend.changes import policy
from backend.changes import service as changes
from backend.changes.rules import Rule
from backend.core import clock, cron
from backend.core.access import SYSTEM, Actor, Role
from backend.core.errors import InvalidInput, NotFound, NotPermitted
from backend.jobs import registry, runner
from backend.jobs import service as jobs
from backend.models import ChangePolicy, SyncIgnore, SyncSettings
from backend.user_sync import runs, service, tasks
from backend.user_sync.errors import NotInPlan
from backend.user_sync.schemas import Settings


def ignore(world, plan, email, field, reason="agreed with HR"):
    row = world.row(plan, email)
    with world.database.write() as session:
        return service.ignore(
            session, world.steward, plan_id=plan.id, user_id=row.user_id, field=field, reason=reason
        )


class TestIgnore:
    def test_leaves_the_plan_at_once_and_the_next_ones_until_it_changes(self, world):
        plan = world.plan()
        after = ignore(world, plan, "lena.novak@example.com", "displayName")
        assert after.changes == plan.changes - 1
        assert after.kinds["update"] == plan.kinds["update"] - 1
        row = world.row(world.plan(), "lena.novak@example.com")
        assert (row.kind, row.applicable) == ("unchanged", False)
        assert "agreed with HR" in row.reason
        for person in world.directory.users:
            if person["email"] == "lena.novak@example.com":
                person["displayName"] = "Lena Horvat"
        assert world.row(world.plan(), "lena.novak@example.com").kind == "update"

    def test_a_reason_is_not_cut(self, world):
        plan = world.plan()
        with pytest.raises(InvalidInput, match="at most 500 characters"):
            ignore(world, plan, "lena.novak@example.com", "displayName", reason="x" * 501)
        assert world.row(plan, "lena.novak@example.com").kind == "update"

    def test_one_field_of_two(self, world):
        plan = world.plan()
        after = ignore(world, plan, "aaron_johnson0@example.com", "domains")
        row = world.row(plan, "aaron_johnson0@example.com")
        assert (row.sets_name, row.sets_domains) == (True, False)
        assert after.fields["domains"] == plan.fields["domains"] - 1
        assert after.changes == plan.changes
        assert world.plan().fields == after.fields

    def test_keeps_author_reason_and_values_and_can_be_taken_back(self, world):
        plan = world.plan()
        ignore(world, plan, "lena.novak@example.com", "displayName")
        with world.database.read() as session:
            (kept,) = service.list_ignores(session, world.steward, environment=world.env).items
        assert (kept.author, kept.reason) == (world.steward.name, "agreed with HR")
        assert kept.difference == "“Lena Novak” → “Lena Novak-Horvat”"
        with world.database.write() as session:
            service.forget_ignore(session, world.steward, ignore_id=kept.id)
        assert world.plan().changes == plan.changes
        with world.database.write() as session, pytest.raises(NotFound):
            service.forget_ignore(session, world.steward, ignore_id=kept.id)

    def test_does_not_come_back_with_the_values_it_was_made_for(self, world):
        ignore(world, world.plan(), "lena.novak@example.com", "displayName")
        before = world.stored("lena.novak")["displayName"]
        world.om.store.edit_user("lena.novak", by="eve", display_name="Somebody Else")
        world.plan()
        world.om.store.edit_user("lena.novak", by="eve", display_name=before)
        assert world.row(world.plan(), "lena.novak@example.com").kind == "update"
        with world.database.read() as session:
            assert not service.list_ignores(session, world.steward, environment=world.env).items

    def test_counts_however_many_newer_ones_there_are_and_all_can_be_read(self, world):
        plan = world.plan()
        ignore(world, plan, "lena.novak@example.com", "displayName")
        with world.database.write() as session:
            kept = session.scalars(select(SyncIgnore)).one()
            same = {c.key: getattr(kept, c.key) for c in SyncIgnore.__table__.columns}
            first = kept.id
            newer = [{**same, "id": first + n, "user_id": str(n)} for n in range(1, 10_002)]
            session.execute(insert(SyncIgnore), newer)
        assert world.row(world.plan(), "lena.novak@example.com").kind == "unchanged"
        seen, before = [], None
        with world.database.read() as session:
            while True:
                page = service.list_ignores(
                    session, world.steward, environment=world.env, limit=1_000, before=before
                )
                seen += [item.id for item in page.items]
                if (before := page.next_cursor) is None:
                    break
        assert seen == list(range(first + 10_001, first - 1, -1))

    @pytest.mark.parametrize(
        ("email", "field"),
        [
            ("lena.novak@example.com", "displayName"),
            ("aaron_johnson0@example.com", "displayName"),
            ("aaron_johnson0@example.com", "domains"),
        ],
    )
    def test_changes_the_digest_to_that_of_a_new_plan(self, world, email, field):
        plan = world.plan()
        after = ignore(world, plan, email, field)
        assert after.digest != plan.digest
        assert after.digest == world.plan().digest

    def test_holds_for_a_plan_that_was_open_already(self, world):
        older, newer = world.plan(), world.plan()
        ignore(world, newer, "aaron_johnson0@example.com", "displayName")
        run = world.apply(older)
        item = world.items(run)["aaron_johnson0@example.com"]
        assert (run.state, item.state, item.stored) == ("partial", "conflict", ())
        assert "ignored since this was planned" in item.reason
        assert "agreed with HR" in item.reason
        assert world.stored("aaron_johnson0")["displayName"] == "Aaron Jonson"
        assert run.counts == {"applied": older.changes - 1, "conflict": 1}

    def test_holds_for_a_run_that_lay_stopped(self, world):
        older, newer = world.plan(), world.plan()
        with world.database.write() as session:
            run = service.apply(session, world.steward, plan_id=older.id)
            service.cancel(session, world.steward, run_id=run.id)
        ignore(world, newer, "lena.novak@example.com", "displayName")
        with world.database.write() as session:
            service.resume(session, world.steward, run_id=run.id, background=False)
        run = service.execute(world.database, world.steward, run_id=run.id)
        assert world.items(run)["lena.novak@example.com"].state == "conflict"
        assert world.stored("lena.novak")["displayName"] == "Lena Novak"

    def test_needs_a_reason_a_difference_and_a_plan_not_yet_applied(self, world):
        plan = world.plan()
        with pytest.raises(InvalidInput, match="Say why"):
            ignore(world, plan, "lena.novak@example.com", "displayName", " ")
        with pytest.raises(NotInPlan):
            ignore(world, plan, "lena.novak@example.com", "domains")
        world.apply(plan, emails=["dana.fox@example.com"])
        with pytest.raises(InvalidInput, match="applied already"):
            ignore(world, plan, "lena.novak@example.com", "displayName")


class TestSettings:
    def test_are_admins_business(self, world):
        with world.database.write() as session, pytest.raises(NotPermitted):
            service.save_settings(
                session, world.steward, environment=world.env, settings=Settings()
            )

    @pytest.mark.parametrize(
        "wrong",
        [
            {"plan_cron": "often"},
            {"min_share": 2.0},
            {"limit_percent": -1.0},
            {"expires_hours": 0.0},
            {"concurrency": 0},
            {"apply_on_schedule": True},
        ],
    )
    def test_wrong_ones_are_refused_with_a_sentence(self, world, wrong):
        with pytest.raises(InvalidInput) as caught:
            world.settings(**wrong)
        assert str(caught.value).endswith(".")

    def test_the_next_time_follows_the_cron_in_utc(self):
        monday = datetime(2026, 11, 23, 5, 59, tzinfo=UTC)
        assert cron.next_time("0 6 * * *", monday) == monday + timedelta(minutes=1)
        assert cron.next_time("", monday) is None

    @pytest.mark.parametrize(
        ("days", "first"),
        [
            ("1-5", 23),
            ("0", 29),
            ("7", 29),
            ("2", 24),
            ("sat", 28),
            ("5-7", 27),
            ("0-6", 23),
            ("*/2", 24),
            ("3,1", 23),
        ],
    )
    def test_weekdays_count_from_sunday_as_in_every_crontab(self, days, first):
        monday = datetime(2026, 11, 23, 5, 59, tzinfo=UTC)
        found = cron.next_time(f"0 6 * * {days}", monday)
        assert (found.day, found.hour) == (first, 6)


class TestSchedule:
    @pytest.fixture
    def due(self, world):
        with world.database.write() as session:
            for name in ("yan", "zoe"):  # who sets it has an account, and there is another admin
                made = accounts.create(
                    session, SYSTEM, name=name, role="admin", password="seven red bicycles"
                )
        world.admin = Actor(made.id, made.name, Role.ADMIN, "user")

        def _due(**options):
            world.settings(plan_cron="0 6 1 1 *", **options)
            with world.database.write() as session:
                past = clock.now() - timedelta(minutes=1)
                session.execute(update(SyncSettings).values(next_plan_at=past))
            tasks.plan_by_schedule(world.database)
            while True:
                with world.database.read() as session:
                    waiting = jobs.list_jobs(session, world.admin, states=("queued",)).items
                if not waiting:
                    return
                for job in waiting:
                    runner.run(job.id, world.database)

        return _due

    def newest(self, world):
        with world.database.read() as session:
            return service.list_plans(session, world.steward, environment=world.env)[0]

    def test_plans_when_due_and_sets_the_next_time(self, world, due):
        due()
        plan = self.newest(world)
        assert (plan.origin, plan.state, plan.run_id) == ("schedule", "ready", None)
        with world.database.read() as session:
            view = service.get_settings(session, world.steward, environment=world.env)
        assert view.next_plan_at > clock.now()

    def test_the_overview_hears_of_waiting_changes_until_they_are_applied(self, world, due):
        due()
        with world.database.read() as session:
            (notice,) = service.waiting(session, world.steward)
        plan = self.newest(world)
        assert (notice.plan_id, notice.changes) == (plan.id, plan.changes)
        world.apply(plan)
        with world.database.read() as session:
            assert service.waiting(session, world.steward) == ()

    def test_never_applies_unless_switched_on(self, world, due):
        due(apply_on_schedule=True)
        plan = self.newest(world)
        assert plan.run_id is not None
        assert world.plan().changes == 0

    def test_it_applies_in_the_name_of_who_set_it(self, world, due):
        """Under approval somebody else decides; who may not apply any more does not by schedule."""
        zoe, rule = world.admin, Rule(mode="approve")
        with world.database.write() as session:
            policy.save(session, SYSTEM, environment=world.env, action=runs.APPLY, rule=rule)
        due(apply_on_schedule=True)
        with world.database.read() as session:
            (asked,) = changes.list_changes(session, zoe, which="mine").items
            assert (asked.requester, asked.status) == ("zoe", "waiting")
            refusal = changes.why_not(session, zoe, change_id=asked.id)
            assert "asked for by you" in refusal
        with world.database.write() as session:
            accounts.set_disabled(session, SYSTEM, account_id=zoe.id, disabled=True, version=1)
            session.execute(delete(ChangePolicy))
        due(apply_on_schedule=True)
        assert self.newest(world).run_id is None

    def test_a_scheduled_apply_above_the_limit_waits_for_a_person(self, world, due):
        due(apply_on_schedule=True, limit_from=1, limit_percent=1.0)
        plan = self.newest(world)
        assert (plan.state, plan.run_id) == ("ready", None)

    def test_not_due_is_not_planned(self, world):
        world.settings(plan_cron="0 6 1 1 *")
        tasks.plan_by_schedule(world.database)
        with world.database.read() as session:
            assert service.list_plans(session, world.steward) == ()


class TestJobs:
    def test_a_plan_and_an_apply_run_as_jobs_and_may_be_delivered_twice(self, world):
        with world.database.write() as session:
            plan = service.start_plan(session, world.steward, environment=world.env)
        assert runner.run(plan.job_id, world.database)
        assert not runner.run(plan.job_id, world.database)
        with world.database.write() as session:
            run = service.apply(session, world.steward, plan_id=plan.id)
        assert runner.run(run.job_id, world.database)
        with world.database.read() as session:
            job = jobs.get(session, world.admin, job_id=run.job_id)
            ended = service.get_run(session, world.steward, run_id=run.id)
        assert (job.state, job.result["state"], ended.state) == ("succeeded",) * 3

    def test_a_queued_run_can_be_cancelled(self, world):
        plan = world.plan()
        with world.database.write() as session:
            run = service.apply(session, world.steward, plan_id=plan.id)
            cancelled = service.cancel(session, world.steward, run_id=run.id)
        assert cancelled.state == "cancelled"
        runner.run(run.job_id, world.database)
        assert not [m for m, _ in world.om.requests if m == "PATCH"]

    def test_both_kinds_are_resumable(self):
        assert registry.kind("user_sync.plan").resumable
        assert registry.kind("user_sync.apply").resumable
