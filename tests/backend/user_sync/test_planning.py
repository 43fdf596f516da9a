"""Plans against real HTTP on both sides: what is stored, and what stops planning."""

import pytest

from backend.core import audit
from backend.core.errors import (
    InvalidInput,
    NotFound,
    NotPermitted,
    UpstreamError,
    UpstreamUnavailable,
)
from backend.integrations.directory.errors import EmptyAnswer, PartialAnswer
from backend.integrations.openmetadata.errors import TokenRefused
from backend.jobs.errors import JobCancelled
from backend.user_sync import planning, service
from backend.user_sync.errors import PlanNotReady, ShortAnswer
from backend.user_sync.schemas import KINDS, RowFilter


class TestPlan:
    def test_of_the_sandbox_has_a_row_of_every_kind(self, world):
        plan = world.plan()
        assert plan.state == "ready"
        assert all(plan.kinds[kind] > 0 for kind in KINDS), plan.kinds
        assert sum(plan.kinds.values()) == plan.directory_count == len(world.directory.users)
        rows = world.rows(plan)
        assert {k: sum(r.kind == k for r in rows) for k in KINDS} == plan.kinds

    def test_keeps_the_before_image_and_the_version(self, world):
        row = world.row(world.plan(), "anna.kowalska@example.com")
        assert (row.old_name, row.new_name) == ("Anna Kowalska", "Anna Maria Kowalska")
        assert [r.fqn for r in row.inherited] == ["Finance"]
        assert row.version == world.stored("anna.kowalska")["version"]
        assert row.updated_at == world.stored("anna.kowalska")["updatedAt"]
        assert row.user_url == f"{world.om.server.base_url}/users/anna.kowalska"

    def test_counts_users_per_field(self, world):
        fields = world.plan().fields
        rows = [r for r in world.rows(world.plan()) if r.applicable]
        assert fields["users"] == len(rows)
        assert fields["displayName"] == sum(r.sets_name for r in rows)
        assert fields["domains"] == sum(r.sets_domains for r in rows)
        assert fields["look_alike"] == 2
        assert fields["domains_removed"] >= 1

    def test_the_same_changes_have_the_same_digest(self, world):
        first, second = world.plan(), world.plan()
        assert first.digest == second.digest
        world.om.store.edit_user("dana.fox", by="x", display_name="Dana F.")
        assert world.plan().digest != first.digest

    def test_one_users_odd_name_costs_one_row(self, world):
        world.stored("lena.novak")["displayName"] = "\ud800x"
        plan = world.plan()
        row = world.row(plan, "lena.novak@example.com")
        assert (plan.state, row.kind, row.applicable) == ("ready", "invalid", False)
        assert "lena.novak" in row.reason

    def test_a_name_that_became_odd_since_is_a_conflict(self, world):
        plan = world.plan()
        world.stored("lena.novak")["displayName"] = "\ud800x"
        run = world.apply(plan)
        item = world.items(run)["lena.novak@example.com"]
        assert (run.counts["conflict"], item.state) == (1, "conflict")
        assert "\N{REPLACEMENT CHARACTER}x" in item.reason

    def test_changes_nothing_and_is_audited(self, world):
        before = {k: dict(v) for k, v in world.om.store.users.items()}
        world.plan()
        assert world.om.store.users == before
        assert {method for method, _ in world.om.requests} == {"GET"}
        with world.database.read() as session:
            assert audit.verify(session).ok

    def test_two_users_with_one_address_are_corrected_even_over_pages(self, world):
        world.om.store.add_user("aaa.twin", email="LENA.novak@example.com", display_name="Twin")
        plan = world.plan()
        row = world.row(plan, "lena.novak@example.com")
        assert (row.kind, row.applicable) == ("duplicate", False)
        assert sum(plan.kinds.values()) == plan.directory_count

    @pytest.mark.parametrize("version", ["1.9.11", "1.12.4", "2.1.0-SNAPSHOT"])
    def test_works_with_servers_1_9_to_2_x_and_unknown_keys(self, world, version):
        world.om.api.version = version
        world.om.store.extra_keys = {"brandNew": {"x": 1}}
        assert world.plan().server_version == version

    def test_viewers_may_look_but_not_plan(self, world, actors):
        plan = world.plan()
        with world.database.read() as session:
            assert service.get_plan(session, actors.viewer, plan_id=plan.id).id == plan.id
        with pytest.raises(NotPermitted):
            service.plan_now(world.database, actors.viewer, environment=world.env)


class TestWhatStopsPlanning:
    def failed(self, world, raised, **more):
        with pytest.raises(raised) as caught:
            world.plan(**more)
        with world.database.read() as session:
            newest = service.list_plans(session, world.steward)[0]
        assert (newest.state, newest.error) == ("failed", str(caught.value))
        with pytest.raises(PlanNotReady):
            world.rows(newest)
        return str(caught.value)

    def test_a_directory_that_is_down(self, world):
        world.directory.close()
        self.failed(world, UpstreamUnavailable)

    def test_a_partial_answer(self, world):
        world.directory.refuse_after = 5
        self.failed(world, PartialAnswer)

    def test_an_empty_answer(self, world):
        world.directory.users = []
        self.failed(world, EmptyAnswer)

    def test_a_suspiciously_short_answer_unless_accepted(self, world):
        world.plan()
        world.directory.users = world.directory.users[:10]
        assert "less than 80%" in self.failed(world, ShortAnswer)
        assert world.plan(accept_short=True).state == "ready"
        assert world.plan().state == "ready"  # ten is the last good answer now

    def test_the_share_is_a_setting(self, world):
        world.plan()
        world.directory.users = world.directory.users[:10]
        world.settings(min_share=0.2)
        assert world.plan().state == "ready"

    def test_openmetadata_down(self, world):
        world.om.close()
        self.failed(world, UpstreamUnavailable)

    def test_openmetadata_failing_after_the_first_page(self, world):
        world.om.faults.add(path="/users$", status=500)
        self.failed(world, UpstreamError)

    def test_an_expired_token(self, world):
        world.use(world.om, expires=-5)
        assert "expired on" in self.failed(world, TokenRefused)

    def test_a_missing_connection_is_said_before_anything_is_made(self, world):
        from backend.connections import service as connections

        with world.database.write() as session:
            connections.remove(session, world.admin, environment=world.env, kind="directory")
        with pytest.raises(NotFound, match="irectory"):
            world.plan()
        with world.database.read() as session:
            assert service.list_plans(session, world.steward) == ()

    def test_a_cancellation(self, world):
        class Cancelled(planning.Silent):
            def progress(self, done, total=None, *, note=""):
                if done:
                    raise JobCancelled

        self.failed(world, JobCancelled, control=Cancelled())

    def test_a_cancellation_while_the_directory_is_read(self, world):
        class Cancelled(planning.Silent):
            def progress(self, done, total=None, *, note=""):
                if note.startswith("The directory named"):
                    raise JobCancelled

        self.failed(world, JobCancelled, control=Cancelled())

    def test_a_bug_leaves_no_plan_that_is_made_for_ever(self, world, monkeypatch):
        monkeypatch.setattr(planning.Matcher, "feed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.plan()
        with world.database.read() as session:
            assert service.list_plans(session, world.steward)[0].state == "failed"


class TestRows:
    def rows(self, world, plan, offset=0, limit=100, **wanted):
        with world.database.read() as session:
            return service.list_rows(
                session,
                world.steward,
                plan_id=plan.id,
                wanted=RowFilter(**wanted),
                offset=offset,
                limit=limit,
            )

    def test_come_in_pages_in_the_directorys_order(self, world):
        plan = world.plan()
        first = self.rows(world, plan, limit=5)
        second = self.rows(world, plan, offset=5, limit=5)
        assert first.total == plan.directory_count
        assert [r.position for r in (*first.items, *second.items)] == list(range(10))

    def test_filter_by_kind_domain_and_text(self, world):
        plan = world.plan()
        assert {r.kind for r in self.rows(world, plan, kinds=("invalid",)).items} == {"invalid"}
        finance = self.rows(world, plan, domain="FINANCE").items
        assert "aaron_johnson0@example.com" not in {r.email for r in finance}
        assert "dana.fox@example.com" in {r.email for r in finance}
        found = self.rows(world, plan, text="NOVAK horvat").items
        assert [r.email for r in found] == ["lena.novak@example.com"]
        assert self.rows(world, plan, text="100%_").total == 0

    def test_finds_text_whatever_its_case_also_beyond_ascii(self, world):
        plan = world.plan()
        assert self.rows(world, plan, text="INÊS").total == 1

    def test_a_page_is_bounded(self, world):
        plan = world.plan()
        with pytest.raises(InvalidInput):
            self.rows(world, plan, limit=1001)

    def test_the_csv_cannot_run_formulas(self, world):
        world.directory.users.append(
            {"email": "mei.tanaka@example.com", "displayName": '=HYPERLINK("x")', "domain": None}
        )
        world.directory.users = [
            u for u in world.directory.users if u["displayName"] != "Mei Tanaka"
        ]
        plan = world.plan()
        with world.database.read() as session:
            text = service.plan_csv(session, world.steward, plan_id=plan.id)
        assert "'=HYPERLINK" in text
        assert text.count("\r\n") == plan.directory_count + 1
