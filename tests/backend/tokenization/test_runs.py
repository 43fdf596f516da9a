"""A run from the request to the proof in DataHub."""

import json
from typing import Any

import pytest

from backend.core.access import Actor, Role
from backend.core.audit import AuditEvent
from backend.core.errors import InvalidInput, NotPermitted
from backend.jobs import service as jobs
from backend.tokenization import preview, service, tags
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.engines.postgres.catalog import NoSuchTable
from backend.tokenization.errors import NotConfirmed, NothingChosen, TableBusy
from backend.tokenization.schemas import RunFilters, RunState, Trigger, WriteBackState
from tests.backend.tokenization.world import (
    ADMIN,
    STEWARD,
    TOKENIZER,
    Source,
    World,
    customers,
    seed_dataset,
)


def plain(world: World) -> int:
    """Customers whose address is still readable."""
    return int(world.source.column("SELECT count(*) FROM customers WHERE email LIKE '%@%'")[0])


def audit_rows(world: World) -> list[tuple[str, str, str]]:
    from sqlalchemy import select

    with world.database.read() as session:
        found = session.scalars(
            select(AuditEvent)
            .where(AuditEvent.action == "tokenization:table:run")
            .order_by(AuditEvent.id)
        )
        return [(row.phase, row.outcome, row.actor_name) for row in found]


class TestStart:
    def test_takes_the_columns_that_tags_speak_for(self, catalogued: World) -> None:
        view = catalogued.start("customers")

        assert [column.name for column in view.columns] == ["email", "phone"]
        assert view.columns[0].reason == "tagged pii in DataHub"
        assert view.state is RunState.QUEUED

    def test_named_columns_win_over_tags(self, catalogued: World) -> None:
        view = catalogued.start("customers", "name")

        assert [column.name for column in view.columns] == ["name"]

    def test_a_guess_never_runs_by_itself(self, catalogued: World) -> None:
        catalogued.gms.store.upsert(
            catalogued.source.urn("customers"),
            "editableSchemaMetadata",
            {"editableSchemaFieldInfo": []},
        )

        with pytest.raises(NothingChosen, match="Name the columns, or tag the fields"):
            catalogued.start("customers")

    def test_needs_no_datahub_when_columns_are_named(self, world: World) -> None:
        customers(world.source)

        view = world.work(world.start("customers", "email"))

        assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 50)
        assert view.write_back is WriteBackState.SKIPPED

    def test_a_table_that_is_not_there(self, world: World) -> None:
        with pytest.raises(NoSuchTable):
            world.start("nowhere", "email")

    @pytest.mark.parametrize(
        "dataset",
        [
            "customers",
            "urn:li:dataset:(urn:li:dataPlatform:mysql,shop.public.customers,PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,other.public.customers,PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,customers,PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,a.b.c'; DROP TABLE x; --,PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:postgres," + "x" * 600 + ",PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,a.b.\x00c,PROD)",
        ],
    )
    def test_a_hostile_or_foreign_urn_is_refused(self, world: World, dataset: str) -> None:
        with pytest.raises(InvalidInput):
            world.start("", dataset=dataset)

    def test_a_hostile_name_inside_the_right_database_is_only_a_name(self, world: World) -> None:
        customers(world.source)
        urn = world.source.urn('customers"; DROP TABLE customers; --')

        with pytest.raises(NoSuchTable):
            world.start("", "email", dataset=urn)
        assert world.source.column("SELECT count(*) FROM customers") == [50]

    def test_one_run_per_table(self, world: World) -> None:
        customers(world.source)
        first = world.start("customers", "email")

        with pytest.raises(TableBusy, match=f"run {first.id}") as refused:
            world.start("customers", "phone")
        assert refused.value.status == 409

        world.work(first)
        assert world.start("customers", "email").id > first.id

    def test_a_run_that_was_cancelled_before_it_started_frees_its_table(self, world: World) -> None:
        customers(world.source)
        first = world.start("customers", "email")
        with world.database.write() as session:
            jobs.cancel(session, ADMIN, job_id=first.job_id or 0)

        second = world.start("customers", "email")

        assert world.view(first.id).state is RunState.CANCELLED
        assert second.state is RunState.QUEUED

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    def test_is_for_stewards(self, world: World, role: Role) -> None:
        actor = Actor(id=9, name="somebody", role=role, kind="api_token")

        with pytest.raises(NotPermitted):
            service.start(world.database, actor, dataset=world.source.urn("t"), trigger=Trigger.API)
        with pytest.raises(NotPermitted):
            preview.preview(world.database, actor, dataset=world.source.urn("t"))

    def test_a_large_table_from_the_page_needs_its_name_typed(self, world: World) -> None:
        customers(world.source)
        asked = {"trigger": Trigger.PAGE, "rows_expected": 100_001}

        with pytest.raises(NotConfirmed):
            world.start("customers", "email", **asked)
        assert world.start("customers", "email", confirmation="customers", **asked)


class TestRun:
    def test_flips_the_tags_and_writes_the_documentation(self, catalogued: World) -> None:
        view = catalogued.work(catalogued.start("customers"))

        assert (view.state, view.rows_scanned, view.rows_updated) == (RunState.SUCCEEDED, 50, 50)
        assert view.write_back is WriteBackState.SUCCEEDED
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
        urn = catalogued.source.urn("customers")
        description = catalogued.gms.aspect(urn, "editableDatasetProperties")["description"]
        assert "50 scanned, 50 updated" in description
        properties = catalogued.gms.aspect(urn, "datasetProperties")["customProperties"]
        last = json.loads(properties["last_tokenization_run"])
        assert (last["run_id"], last["status"], last["rows_updated"]) == (view.id, "SUCCESS", 50)

    def test_status_tags_exist_with_descriptions(self, catalogued: World) -> None:
        catalogued.work(catalogued.start("customers"))

        for tag in (tags.DONE, tags.SUCCESS):
            assert catalogued.gms.aspect(tag, "tagProperties")["description"]

    def test_a_second_run_updates_nothing(self, catalogued: World) -> None:
        catalogued.work(catalogued.start("customers"))

        again = catalogued.work(catalogued.start("customers"))

        assert (again.state, again.rows_scanned, again.rows_updated) == (RunState.SUCCEEDED, 50, 0)
        assert again.details == "No value was left to tokenize in 50 rows; nothing was changed."

    def test_does_what_the_preview_showed(self, catalogued: World) -> None:
        shown = preview.preview(
            catalogued.database, STEWARD, dataset=catalogued.source.urn("customers")
        )
        view = catalogued.work(catalogued.start("customers"))

        assert shown.report.rows_to_update == view.rows_updated
        assert shown.choices == view.columns
        email = next(each for each in shown.report.columns if each.name == "email")
        assert (
            email.samples[0].after
            == catalogued.source.column("SELECT email FROM customers WHERE id = 1")[0]
        )

    def test_is_audited_with_intent_and_outcome(self, catalogued: World) -> None:
        catalogued.work(catalogued.start("customers"))

        assert audit_rows(catalogued) == [
            ("intent", "", STEWARD.name),
            ("outcome", "succeeded", STEWARD.name),
        ]

    def test_a_blocked_run_fails_keeps_the_tag_and_says_why_in_datahub(
        self, catalogued: World
    ) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")

        view = catalogued.work(catalogued.start("customers"))

        assert view.state is RunState.FAILED
        assert "check constraint customers_email_check" in view.details
        assert catalogued.tags() == {"tokenize/run", "tokenize/status:FAILED"}
        assert audit_rows(catalogued)[-1][1] == "failed"
        assert catalogued.source.column(
            "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
        ) == [50]

    def test_success_after_failure_clears_the_stale_status(self, catalogued: World) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CONSTRAINT c CHECK (email LIKE '%@%')")
        catalogued.work(catalogued.start("customers"))
        catalogued.source.run("ALTER TABLE customers DROP CONSTRAINT c")

        catalogued.work(catalogued.start("customers"))

        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_a_tag_on_a_field_is_answered_too(self, catalogued: World) -> None:
        urn = catalogued.source.urn("customers")
        seed_dataset(
            catalogued.gms,
            catalogued.source,
            run_tag=False,
            field_tags={"email": [tags.RUN, "urn:li:tag:pii"]},
        )
        catalogued.gms.store.upsert(urn, "globalTags", {"tags": []})

        view = catalogued.work(catalogued.start("customers"))

        assert [column.name for column in view.columns] == ["email"]
        fields = catalogued.gms.aspect(urn, "editableSchemaMetadata")["editableSchemaFieldInfo"]
        email = next(each for each in fields if each["fieldPath"] == "email")
        assert [each["tag"] for each in email["globalTags"]["tags"]] == ["urn:li:tag:pii"]

    def test_cancelling_leaves_the_table_whole(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        view = catalogued.start("customers")
        original = rewrite._rewrite_blocks

        def cancelled_meanwhile(*arguments: Any, **more: Any) -> int:
            with catalogued.database.write() as session:
                jobs.cancel(session, ADMIN, job_id=view.job_id or 0)
            arguments[2]._ctx._checked = 0.0
            return original(*arguments, **more)

        monkeypatch.setattr(rewrite, "_rewrite_blocks", cancelled_meanwhile)

        ended = catalogued.work(view)

        assert ended.state is RunState.CANCELLED
        assert ended.write_back is WriteBackState.SKIPPED
        assert catalogued.tags() == {"tokenize/run"}
        assert catalogued.source.column(
            "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
        ) == [50]

    def test_a_bug_fails_the_run_with_a_reference_and_frees_the_table(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        monkeypatch.setattr(rewrite, "prove_same_bytes", lambda *_: 1 / 0)

        view = world.work(world.start("customers", "email"))

        assert view.state is RunState.FAILED
        assert "Reference" in view.details
        assert world.start("customers", "email")

    def test_no_value_of_a_row_reaches_log_state_or_catalog(
        self, catalogued: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        preview.preview(catalogued.database, STEWARD, dataset=catalogued.source.urn("customers"))
        catalogued.work(catalogued.start("customers"))
        catalogued.work(catalogued.start("customers", "name"))

        captured = capsys.readouterr()
        path = catalogued.database.url.removeprefix("sqlite:///")
        with catalogued.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(path, "rb") as file:
            stored = file.read()
        for text in (captured.out, captured.err, stored.decode("latin-1")):
            assert "person1@" not in text
            assert "+49 170" not in text


class TestHistory:
    def test_filters_and_pages(self, world: World) -> None:
        customers(world.source)
        for _ in range(3):
            world.work(world.start("customers", "email"))

        def ids(**wanted: Any) -> list[int]:
            with world.database.read() as session:
                return [run.id for run in service.list_runs(session, STEWARD, **wanted).items]

        assert ids(limit=2) == [3, 2]
        assert ids(limit=2, before=2) == [1]
        assert ids(filters=RunFilters(state="failed")) == []
        assert ids(filters=RunFilters(text="CUSTOMERS", trigger="api")) == [3, 2, 1]
        assert ids(filters=RunFilters(text="100%")) == []


class TestDatabricks:
    def test_without_a_connection_is_skipped_in_the_words_people_know(self, world: World) -> None:
        view = world.start(
            "", "email", dataset="urn:li:dataset:(urn:li:dataPlatform:databricks,main.crm.c,PROD)"
        )

        assert (view.state, view.rows_updated) == (RunState.SKIPPED, 0)
        assert view.details == "Databricks connection not configured"

    def test_a_preview_without_a_connection_is_blocked_in_the_same_words(
        self, world: World
    ) -> None:
        urn = "urn:li:dataset:(urn:li:dataPlatform:databricks,main.crm.c,PROD)"

        document = preview.preview(world.database, STEWARD, dataset=urn).document()

        assert document["blockers"] == ["Databricks connection not configured."]
        assert (document["rows_to_update"], document["columns"]) == (None, [])


class TestEnvironments:
    def test_the_one_with_that_database_is_taken(
        self, world: World, database: Any, postgres_server: Any
    ) -> None:
        from tests.backend.tokenization.world import make_world

        name = postgres_server.create_database()
        other = Source(postgres_server.url(name))
        second = make_world(database, other, name="second")
        customers(other)

        assert second.start("customers", "email").environment == "second"
        with pytest.raises(InvalidInput, match="No postgres connection fits"):
            second.start("customers", "email", environment="test")
        assert TOKENIZER
