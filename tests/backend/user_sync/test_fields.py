"""The table of attributes: one that is off by default goes the whole way by its entry alone."""

import json

import pytest

from backend.connections import service as connections
from backend.core.errors import InvalidInput
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.user_sync import fields, service
from backend.user_sync.answers import PlanRow
from backend.user_sync.exports import plan_csv

WHO = "dana.fox@example.com"


def switch_on(world, description="Buys things\nand pays them "):
    """Descriptions are kept in step; the directory, a file, has one for a single person."""
    world.settings(attributes="displayName,domains,description")
    people = [
        {**person, "description": description if person["email"] == WHO else None}
        for person in world.directory.users
    ]
    with world.database.write() as session:
        connections.save(
            session,
            world.admin,
            environment=world.env,
            kind="directory",
            settings={"source": "upload", "endpoint": ""},
        )
        content = json.dumps(people).encode()
        service.upload(
            session, world.steward, environment=world.env, name="p.json", content=content
        )


def test_what_environments_start_with():
    assert fields.DEFAULT == "displayName,domains"
    assert set(fields.TEXTS) == {"description"}
    with pytest.raises(InvalidInput, match="not shoe size"):
        fields.chosen("displayName,shoe size")
    with pytest.raises(InvalidInput, match="not none"):
        fields.chosen(" , ")


def test_what_is_off_is_not_compared(world):
    switch_on(world)
    world.settings(attributes="domains")
    changes = {name for row in world.rows(world.plan()) for name in row.changes}
    assert changes == {"domains"}


class TestDescription:
    def test_is_planned_shown_and_written(self, world):
        switch_on(world)
        plan = world.plan()
        row = world.row(plan, WHO)
        assert row.changes["description"] == (None, "Buys things\nand pays them")
        assert "description" in row.why()
        assert plan.fields["description"] == 1
        assert str(PlanRow.of(row).changes["description"].new).startswith("Buys")
        assert "new description" in plan_csv([row])
        run = world.apply(plan, emails=[WHO])
        assert (run.state, "description" in world.items(run)[WHO].stored) == ("succeeded", True)
        assert world.stored("dana.fox")["description"] == "Buys things\nand pays them"
        assert "description" not in world.row(world.plan(), WHO).changes

    def test_is_reverted(self, world):
        switch_on(world)
        world.om.store.edit_user("dana.fox", by="x", description="As it was")
        run = world.apply(world.plan(), emails=[WHO])
        with world.database.write() as session:
            inverse = service.revert(session, world.steward, run_id=run.id)
        assert world.apply(inverse).state == "succeeded"
        assert world.stored("dana.fox")["description"] == "As it was"

    def test_edited_since_the_plan_is_a_conflict(self, world):
        switch_on(world)
        plan = world.plan()
        world.om.store.edit_user("dana.fox", by="eve", description="Mine")
        run = world.apply(plan, emails=[WHO])
        assert "the description is now “Mine”, it was empty" in world.items(run)[WHO].reason
        assert world.stored("dana.fox")["description"] == "Mine"

    def test_is_ignored_until_it_changes(self, world):
        switch_on(world)
        plan = world.plan()
        with world.database.write() as session:
            after = service.ignore(
                session,
                world.steward,
                plan_id=plan.id,
                email=WHO,
                field="description",
                reason="private",
            )
        assert after.fields["description"] == 0
        again = world.plan()
        assert "description" not in world.row(again, WHO).changes
        assert again.digest == after.digest

    def test_what_no_database_stores_costs_the_description_alone(self, world):
        switch_on(world, "a\x00b")
        row = world.row(world.plan(), WHO)
        assert "description" not in row.changes
        assert "the directory's description cannot be used" in row.reason


def test_the_list_and_a_read_hold_the_same_texts(om):
    om.store.edit_user("dana.fox", by="x", description="Buys things")
    with OpenMetadataGateway(om.url, om.token("portal-admin"), texts=["description"]) as gateway:
        listed = {user.id: user for page in gateway.users() for user in page.users}
        found = next(user for user in listed.values() if user.name == "dana.fox")
        assert found.texts == {"description": "Buys things"}
        assert gateway.user(found.id) == found


def test_a_stored_text_of_an_attribute_that_is_gone_is_nothing():
    assert fields.loaded(json.dumps({"shoe size": ["1", "2"]})) == {}
