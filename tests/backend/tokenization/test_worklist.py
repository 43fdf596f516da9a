"""The work list: each dataset once, by what it needs; and the tables to pick from."""

from typing import Any

import pytest

from backend.connections import service as connections
from backend.core.access import Actor, Role
from backend.core.errors import InvalidInput, NotPermitted
from backend.jobs import broker, runner
from backend.tokenization import comparison, worklist
from backend.tokenization.engines.postgres import catalog
from backend.tokenization.worklist import WorkList
from tests.backend.tokenization.world import ADMIN, STEWARD, World, seed_dataset

VIEWER = Actor(id=3, name="viewer@example.org", role=Role.VIEWER, kind="user")


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


def listed(world: World, **more: Any) -> WorkList:
    found = worklist.tagged(world.database, VIEWER)
    with world.database.read() as session:
        return worklist.work_list(session, VIEWER, tagged=found, **more)


def states(world: World, **more: Any) -> list[tuple[str, str]]:
    return [(item.table.rpartition(".")[2], item.status) for item in listed(world, **more).items]


class TestStatus:
    def test_a_tagged_dataset_names_its_likely_columns_by_tag_and_by_name(
        self, catalogued: World
    ) -> None:
        seed_dataset(catalogued.gms, catalogued.source, table="leads", field_tags={})

        found = listed(catalogued)

        assert {item.table.rpartition(".")[2]: item.columns for item in found.items} == {
            "customers": ("email", "phone"),
            "leads": ("email", "phone"),
        }
        assert found.counts["tagged"] == found.counts["open"] == 2

    def test_a_dataset_goes_from_tagged_over_running_to_done_and_drifted(
        self, catalogued: World
    ) -> None:
        assert states(catalogued) == [("customers", "tagged")]
        run = catalogued.start("customers")
        assert states(catalogued) == [("customers", "running")]
        catalogued.work(run)
        assert states(catalogued) == []
        assert states(catalogued, only="done") == [("customers", "done")]

        catalogued.source.run("UPDATE customers SET email = 'new@example.org' WHERE id = 7")
        with catalogued.database.write() as session:
            job = comparison.start(session, STEWARD)
        runner.run(job, catalogued.database)

        (item,) = listed(catalogued).items
        assert (item.status, item.columns, item.rows_plain) == ("drifted", ("email",), 1)
        assert "holds plain values" in item.reason

        catalogued.work(catalogued.start("customers", "email"))
        assert states(catalogued, only="all") == [("customers", "done")]

    def test_a_failed_run_says_why(self, catalogued: World) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")
        run = catalogued.work(catalogued.start("customers", "email"))

        (item,) = listed(catalogued).items
        assert (item.status, item.run_id) == ("failed", run.id)
        assert "check constraint" in item.reason

    def test_text_finds_tables_and_columns(self, catalogued: World) -> None:
        assert states(catalogued, text="PHONE") == [("customers", "tagged")]
        assert states(catalogued, text="iban") == []

    def test_another_status_is_refused(self, catalogued: World) -> None:
        with pytest.raises(InvalidInput, match="'late' is no status"):
            listed(catalogued, only="late")


class TestDataHub:
    def test_away_is_a_note(self, catalogued: World) -> None:
        catalogued.start("customers")
        with catalogued.gms.faults.inject(status=503):
            found = listed(catalogued)

        assert [item.status for item in found.items] == ["running"]
        assert "DataHub" in found.note

    def test_tagged_datasets_that_are_left_out_are_a_note(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worklist, "MAX_TAGGED", 1)
        assert listed(catalogued).note == ""
        seed_dataset(catalogued.gms, catalogued.source, table="leads", field_tags={})
        found = listed(catalogued)
        assert (len(found.items), found.note) == (1, worklist._MORE_TAGGED)

    def test_none_is_a_note(self, world: World) -> None:
        assert "test has no DataHub connection" in listed(world).note


class TestTables:
    def test_of_every_database_with_their_urns(self, world: World) -> None:
        world.source.run(
            "CREATE TABLE people (email text)",
            "CREATE SCHEMA crm",
            'CREATE TABLE crm."Leads" (email text) PARTITION BY LIST (email)',
            'CREATE TABLE crm.leads_a PARTITION OF crm."Leads" DEFAULT',
            "CREATE VIEW mine AS SELECT * FROM people",
        )

        found = worklist.tables(world.database, STEWARD)

        assert [item.dataset for item in found.items] == [
            world.source.urn("people").replace("public.people", "crm.Leads"),
            world.source.urn("people"),
        ]
        assert found.note == ""

    def test_tables_that_are_left_out_are_a_note(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.source.run("CREATE TABLE one (email text)", "CREATE TABLE two (email text)")
        monkeypatch.setattr(catalog, "MOST_TABLES", 1)
        monkeypatch.setattr(worklist, "MOST_TABLES", 1)

        found = worklist.tables(world.database, STEWARD)

        assert [item.table for item in found.items] == ["one"]
        assert "only its first 1 tables are listed" in found.note

    def test_a_database_that_cannot_be_asked_is_a_note(self, world: World) -> None:
        world.source.run("CREATE TABLE people (email text)")
        with world.database.write() as session:
            connections.save(
                session,
                ADMIN,
                environment="test",
                kind="postgres",
                settings={**world.source.settings, "databases": "nowhere"},
                secrets_in=world.source.secrets,
            )

        found = worklist.tables(world.database, STEWARD)

        assert [item.table for item in found.items] == ["people"]
        assert found.note.startswith("nowhere: ")

    def test_viewers_may_not_ask_the_source(self, world: World) -> None:
        with pytest.raises(NotPermitted):
            worklist.tables(world.database, VIEWER)
