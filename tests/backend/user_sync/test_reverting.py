"""Undo of a run, and what a run's readers see."""

import copy
from datetime import timedelta

import pytest

from backend.core import clock
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings
from backend.sandbox.openmetadata import StandIn
from backend.user_sync import service
from backend.user_sync.errors import NothingToRevert, RevertElsewhere, RevertTooOld
from tests.backend.user_sync.conftest import lose


def copied(store):
    """What a backup of the server, restored elsewhere, would hold."""
    return {name: copy.deepcopy(value) for name, value in vars(store).items() if name != "lock"}


class TestRevert:
    def revert(self, world, run):
        with world.database.write() as session:
            return service.revert(session, world.steward, run_id=run.id)

    def test_puts_back_names_and_domains_as_they_were(self, world):
        def fields(user):
            return user.get("displayName"), {d["id"] for d in user["domains"]}

        before = {k: fields(v) for k, v in world.om.store.users.items()}
        run = world.apply(world.plan())
        inverse = self.revert(world, run)
        assert (inverse.origin, inverse.reverts_run_id) == ("revert", run.id)
        assert inverse.changes == run.total
        undone = world.apply(inverse)
        assert undone.state == "succeeded"
        assert {k: fields(v) for k, v in world.om.store.users.items()} == before

    def test_is_a_plan_to_be_looked_at_and_ticked(self, world):
        run = world.apply(world.plan())
        inverse = self.revert(world, run)
        row = world.row(inverse, "lena.novak@example.com")
        assert (row.old_name, row.new_name) == ("Lena Novak-Horvat", "Lena Novak")
        assert world.apply(inverse, emails=["lena.novak@example.com"]).total == 1

    def test_keeps_the_marking_of_blanks(self, world):
        world.om.store.edit_user("lena.novak", by="x", display_name="Lena Novak-Horvat ")
        inverse = self.revert(world, world.apply(world.plan()))
        row = world.row(inverse, "lena.novak@example.com")
        assert row.look_alike
        assert row.why() == (
            "takes back a change; the names differ only in white space or Unicode form"
        )

    def test_leaves_users_alone_that_changed_since(self, world):
        run = world.apply(world.plan())
        world.om.store.edit_user("dana.fox", by="eve", domains=("Research",))
        undone = world.apply(self.revert(world, run))
        assert undone.counts["conflict"] == 1
        assert [d["name"] for d in world.stored("dana.fox")["domains"]] == ["Research"]

    def test_takes_back_only_what_was_stored(self, world):
        world.use(world.om, "ingestion-bot")
        run = world.apply(world.plan())
        inverse = self.revert(world, run)
        row = world.row(inverse, "aaron_johnson0@example.com")
        assert (row.sets_name, row.sets_domains) == (False, True)
        assert "lena.novak@example.com" not in {r.email for r in world.rows(inverse)}

    def test_takes_back_an_unknown_write_that_was_stored(self, many):
        world = many(4)
        plan = world.plan()
        row = world.rows(plan)[1]
        lose(world, row.user_id)
        run = world.apply(plan)
        world.om.faults.clear()
        assert run.counts == {"applied": 3, "unknown": 1}
        inverse = self.revert(world, run)
        assert "if it was stored" in world.row(inverse, row.email).reason
        assert world.apply(inverse).counts == {"applied": 4}
        assert world.stored(str(row.user_name))["displayName"] == row.old_name

    def test_leaves_an_unknown_write_alone_that_was_not_stored(self, many):
        world = many(4)
        plan = world.plan()
        row = world.rows(plan)[1]
        path = f"/users/{row.user_id}$"
        world.om.faults.add(method="PATCH", path=path, holding=b'"op"', drop="before")
        run = world.apply(plan)
        world.om.faults.clear()
        assert run.counts == {"applied": 3, "unknown": 1}
        undone = world.apply(self.revert(world, run))
        assert undone.counts == {"applied": 4}
        assert world.items(undone)[row.email].reason == "was so already"
        assert world.stored(str(row.user_name))["version"] == 0.1

    def test_of_a_run_that_stored_nothing_is_refused(self, world):
        plan = world.plan()
        world.om.store.edit_user("dana.fox", by="eve", domains=("Research",))
        run = world.apply(plan, emails=["dana.fox@example.com"])
        with pytest.raises(NothingToRevert):
            self.revert(world, run)

    def test_of_a_run_that_is_about_to_be_forgotten_is_refused(self, world, monkeypatch):
        run = world.apply(world.plan())
        monkeypatch.setenv("PORTAL_KEEP_RUNS_DAYS", "30")
        get_settings.cache_clear()
        later = clock.now() + timedelta(days=31)
        monkeypatch.setattr(clock, "now", lambda: later)
        with pytest.raises(RevertTooOld, match="PORTAL_KEEP_RUNS_DAYS"):
            self.revert(world, run)

    def test_never_writes_to_another_server_that_knows_the_same_users(self, world):
        run, home = world.apply(world.plan()), world.om
        with StandIn(seed=lambda store: store.__dict__.update(copied(home.store))) as clone:
            world.use(clone)
            with pytest.raises(RevertElsewhere, match="Point it back") as caught:
                self.revert(world, run)
            assert home.url in caught.value.message
            assert clone.url in caught.value.message
        world.use(home)
        assert world.apply(self.revert(world, run)).state == "succeeded"

    def test_can_be_undone_itself(self, world):
        run = world.apply(world.plan())
        undone = world.apply(self.revert(world, run))
        again = world.apply(self.revert(world, undone))
        assert again.state == "succeeded"
        assert world.stored("lena.novak")["displayName"] == "Lena Novak-Horvat"


class TestReading:
    def test_items_are_filtered_and_bounded(self, world):
        run = world.apply(world.plan())
        with world.database.read() as session:
            found = service.list_items(
                session, world.steward, run_id=run.id, states=["applied"], text="novak"
            )
            assert [i.email for i in found] == ["lena.novak@example.com"]
            with pytest.raises(InvalidInput):
                service.list_items(session, world.steward, run_id=run.id, limit=0)
            text = service.run_csv(session, world.steward, run_id=run.id)
            assert text.count("\r\n") == run.total + 1
            assert [r.id for r in service.list_runs(session, world.steward)] == [run.id]
