"""A run from the request to the proof in DataHub."""

import json
from typing import Any

import pytest

from backend.connections import service as connections
from backend.core.access import Actor, Role
from backend.core.audit import AuditEvent
from backend.core.errors import InvalidInput, NotPermitted, UpstreamUnavailable
from backend.jobs import service as jobs
from backend.tokenization import preview, service, tags, tasks, write_back
from backend.tokenization.engines.base import CommitUnknown, Outcome
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.engines.postgres.catalog import NoSuchTable
from backend.tokenization.engines.postgres.engine import PostgresEngine
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
        assert again.details == "All 50 rows held tokens already; nothing was changed."

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
            arguments[4]._ctx._checked = 0.0
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
        monkeypatch.setattr(rewrite, "_prove_same_bytes", lambda *_: 1 / 0)

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


class TestWriteBack:
    def test_keeps_what_people_wrote_around_the_section(self, catalogued: World) -> None:
        urn = catalogued.source.urn("customers")
        catalogued.work(catalogued.start("customers"))
        first = catalogued.gms.aspect(urn, "editableDatasetProperties")["description"]
        catalogued.gms.store.upsert(
            urn,
            "editableDatasetProperties",
            {"description": f"# Customers\n\nOur people.\n\n{first}\n\n## Contact\n\nteam@x"},
        )

        catalogued.work(catalogued.start("customers"))

        after = catalogued.gms.aspect(urn, "editableDatasetProperties")["description"]
        assert after.startswith("# Customers\n\nOur people.\n\n## Tokenization\n")
        assert after.endswith("\n\n## Contact\n\nteam@x")
        assert after.count("## Tokenization") == 1
        assert "50 scanned, 0 updated" in after

    def test_ingested_documentation_is_not_hidden(self, catalogued: World) -> None:
        seed_dataset(catalogued.gms, catalogued.source, description="Ingested words.")

        catalogued.work(catalogued.start("customers"))

        after = catalogued.gms.aspect(
            catalogued.source.urn("customers"), "editableDatasetProperties"
        )["description"]
        assert after.startswith("Ingested words.\n\n## Tokenization")

    def test_other_tags_and_properties_stay(self, catalogued: World) -> None:
        urn = catalogued.source.urn("customers")
        catalogued.gms.store.upsert(
            urn,
            "globalTags",
            {"tags": [{"tag": tags.RUN}, {"tag": "urn:li:tag:gold", "context": "x"}]},
        )

        catalogued.work(catalogued.start("customers"))

        kept = [t for t in catalogued.gms.aspect(urn, "globalTags")["tags"] if "gold" in t["tag"]]
        assert kept == [{"tag": "urn:li:tag:gold", "context": "x"}]

    def test_datahub_down_is_retried_apart_and_the_data_stays_done(self, catalogued: World) -> None:
        view = catalogued.start("customers")
        with catalogued.gms.faults.inject(status=500):
            ended = catalogued.work(view)

        assert (ended.state, ended.rows_updated) == (RunState.SUCCEEDED, 50)
        assert ended.write_back is WriteBackState.FAILED
        assert "DataHub" in ended.write_back_details
        assert catalogued.tags() == {"tokenize/run"}

        retried = write_back.attempt(catalogued.database, view.id)

        assert retried.write_back is WriteBackState.SUCCEEDED
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_the_schedule_retries_each_time_later(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from datetime import timedelta

        from backend.core import clock

        view = catalogued.start("customers")
        with catalogued.gms.faults.inject(status=500):
            catalogued.work(view)
        assert tasks.retry_write_back(catalogued.database) == []

        later = clock.now() + timedelta(minutes=3)
        monkeypatch.setattr(tasks.clock, "now", lambda: later)

        assert tasks.retry_write_back(catalogued.database) == [view.id]
        assert tasks.retry_write_back(catalogued.database) == []

    def test_an_older_run_does_not_overwrite_a_newer_ones_outcome(self, catalogued: World) -> None:
        first = catalogued.start("customers")
        with catalogued.gms.faults.inject(status=500):
            catalogued.work(first)
        second = catalogued.work(catalogued.start("customers"))

        yielded = write_back.attempt(catalogued.database, first.id)

        assert yielded.write_back is WriteBackState.SKIPPED
        assert f"Run {second.id} came later" in yielded.write_back_details

    def test_datahub_down_at_the_start(self, catalogued: World) -> None:
        with catalogued.gms.faults.inject(drop=True), pytest.raises(UpstreamUnavailable):
            catalogued.start("customers")

        assert catalogued.start("customers", "email").state is RunState.QUEUED

    def test_by_hand(self, catalogued: World) -> None:
        view = catalogued.start("customers")
        with pytest.raises(InvalidInput, match="has not ended"), catalogued.database.write() as s:
            service.retry_write_back(s, STEWARD, run_id=view.id)
        with catalogued.gms.faults.inject(status=500):
            catalogued.work(view)

        with catalogued.database.write() as session:
            assert (
                service.retry_write_back(session, STEWARD, run_id=view.id).write_back == "pending"
            )

    def test_without_a_connection_any_more_it_is_skipped(self, catalogued: World) -> None:
        view = catalogued.start("customers")
        with catalogued.database.write() as session:
            connections.remove(session, ADMIN, environment="test", kind="datahub")

        assert catalogued.work(view).write_back is WriteBackState.SKIPPED


class TestSettle:
    """The job's second call, after a crash: it finds out and does not run again."""

    def crash(self, world: World, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> int:
        """Leave a run as a killed process would: running, its transaction ended either way."""
        from backend.tokenization import execution

        view = world.start("customers", "email")
        original = rewrite._commit

        def die(connection: Any) -> None:
            if committed:
                original(connection)
            raise KeyboardInterrupt

        monkeypatch.setattr(rewrite, "_commit", die)
        with pytest.raises(KeyboardInterrupt):
            world.work(view)
        monkeypatch.setattr(rewrite, "_commit", original)
        assert world.view(view.id).state is RunState.RUNNING
        assert execution
        return view.id

    def second_call(self, world: World, run_id: int) -> Any:
        class Context:
            database = world.database

        return tasks.run(Context(), run_id=run_id)

    def test_a_committed_run_is_recognised_and_written_back(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = self.crash(catalogued, monkeypatch, committed=True)

        document = self.second_call(catalogued, run_id)

        assert document["status"] == "succeeded"
        assert document["rows_updated"] == 50
        assert "The database confirms that the run was committed" in document["details"]
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_a_rolled_back_run_is_interrupted(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = self.crash(catalogued, monkeypatch, committed=False)

        document = self.second_call(catalogued, run_id)

        assert (document["status"], document["rows_updated"]) == ("interrupted", 0)
        assert "everything was rolled back" in document["details"]
        assert catalogued.tags() == {"tokenize/run", "tokenize/status:FAILED"}
        assert catalogued.source.column(
            "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
        ) == [50]

    @pytest.mark.parametrize("committed", [True, False])
    def test_a_server_that_has_forgotten_is_asked_for_the_content(
        self, world: World, monkeypatch: pytest.MonkeyPatch, committed: bool
    ) -> None:
        customers(world.source)
        run_id = self.crash(world, monkeypatch, committed=committed)
        monkeypatch.setattr(PostgresEngine, "outcome", lambda *_, **__: Outcome.UNKNOWN)

        document = self.second_call(world, run_id)

        assert document["status"] == ("succeeded" if committed else "interrupted")

    def test_an_answer_lost_at_the_commit_is_looked_up_at_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        original = rewrite._commit

        def lose_the_answer(connection: Any) -> None:
            original(connection)
            raise CommitUnknown("PostgreSQL", "the connection broke")

        monkeypatch.setattr(rewrite, "_commit", lose_the_answer)

        view = world.work(world.start("customers", "email"))

        assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 50)

    def test_while_the_source_is_away_it_stays_unknown_and_holds_the_table(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        run_id = self.crash(world, monkeypatch, committed=True)

        def away(*_: Any, **__: Any) -> None:
            raise UpstreamUnavailable("PostgreSQL", "nothing listens")

        with monkeypatch.context() as patch:
            patch.setattr(PostgresEngine, "outcome", away)
            assert self.second_call(world, run_id)["status"] == "unknown"
            with pytest.raises(TableBusy):
                world.start("customers", "email")

        # The job has ended without knowing; the schedule asks again.
        self.end_job(world, run_id)
        tasks.settle_abandoned(world.database)
        assert world.view(run_id).state is RunState.SUCCEEDED

    def end_job(self, world: World, run_id: int) -> None:
        from backend.models import Job

        with world.database.write() as session:
            job = session.get(Job, world.view(run_id).job_id)
            assert job is not None
            job.state = "interrupted"


class TestHistory:
    def test_filters_and_pages(self, world: World) -> None:
        customers(world.source)
        for _ in range(3):
            world.work(world.start("customers", "email"))

        def ids(**wanted: Any) -> list[int]:
            with world.database.read() as session:
                return [run.id for run in service.list_runs(session, STEWARD, **wanted)]

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
