"""Tags start runs, each once, whoever sees them first."""

import copy
from typing import Any

import pytest

from backend.core.errors import NotFound, UpstreamUnavailable
from backend.integrations.datahub.client import DataHubClient
from backend.tokenization import inline, service, tags, watch
from backend.tokenization.schemas import RunState, Trigger
from tests.backend.tokenization.world import STEWARD, World, make_world


def poll(world: World) -> list[Any]:
    return list(watch.poll(world.database, STEWARD))


def runs(world: World) -> list[Any]:
    with world.database.read() as session:
        return list(service.list_runs(session, STEWARD).items)


def put_tag(world: World) -> None:
    world.gms.store.upsert(
        world.source.urn("customers"), "globalTags", {"tags": [{"tag": tags.RUN}]}
    )


def ingest_field_tag(world: World, column: str, tag: str | None) -> None:
    """Leave a column's tag as an ingestion would, or none; the dataset itself carries none."""
    urn = world.source.urn("customers")
    schema = copy.deepcopy(world.gms.aspect(urn, "schemaMetadata"))
    for field in schema["fields"]:
        if field["fieldPath"] == column:
            field["globalTags"] = {"tags": [{"tag": tag}] if tag else []}
    world.gms.store.upsert(urn, "schemaMetadata", schema)
    world.gms.store.upsert(urn, "globalTags", {"tags": []})


class TestPoll:
    def test_a_tag_starts_one_run_and_the_next_look_finds_nothing(self, catalogued: World) -> None:
        (answer,) = poll(catalogued)

        assert poll(catalogued) == []
        view = inline.complete(catalogued.database, answer.run)
        assert (view.state, view.trigger) == (RunState.SUCCEEDED, Trigger.WATCH)
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
        assert poll(catalogued) == []
        assert len(runs(catalogued)) == 1

    def test_a_busy_table_waits_and_the_other_tags_are_answered(self, catalogued: World) -> None:
        busy, free = catalogued.source.urn("customers"), catalogued.source.urn("clients")
        catalogued.source.run("CREATE TABLE clients (LIKE customers)")
        for aspect in ("schemaMetadata", "globalTags"):
            found = catalogued.gms.store.get(busy, aspect)
            catalogued.gms.store.upsert(free, aspect, found)
        service.start(
            catalogued.database,
            STEWARD,
            dataset=busy,
            columns=["email"],
            trigger=Trigger.API,
        )
        troubles: list[str] = []

        (answer,) = watch.poll(catalogued.database, STEWARD, trouble=troubles.append)

        assert answer.dataset == free
        (said,) = troubles
        assert said.startswith(f"{busy} waits for the next look: ")
        assert "already under way" in said

    def test_a_tag_put_on_again_is_a_new_request(self, catalogued: World) -> None:
        (answer,) = poll(catalogued)
        inline.complete(catalogued.database, answer.run)

        put_tag(catalogued)

        assert len(poll(catalogued)) == 1

    def test_a_failed_run_is_not_repeated_until_the_tag_is_put_on_again(
        self, catalogued: World
    ) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")
        (answer,) = poll(catalogued)
        assert inline.complete(catalogued.database, answer.run).state is RunState.FAILED

        assert poll(catalogued) == []

        catalogued.gms.store.upsert(catalogued.source.urn("customers"), "globalTags", {"tags": []})
        assert poll(catalogued) == []
        put_tag(catalogued)
        assert len(poll(catalogued)) == 1

    def test_the_search_index_lags_behind_the_tag(self, catalogued: World) -> None:
        (answer,) = poll(catalogued)
        inline.complete(catalogued.database, answer.run)
        index = catalogued.gms.store

        # The index still says "tagged" while the dataset itself does not any more.
        assert index
        assert (
            watch.answer(
                catalogued.database,
                STEWARD,
                dataset=catalogued.source.urn("customers"),
                trigger=Trigger.ACTION,
            )
            is None
        )

    def test_a_tag_that_the_index_does_not_show_yet_is_not_a_new_request_later(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")
        found = watch.answer(
            catalogued.database,
            STEWARD,
            dataset=catalogued.source.urn("customers"),
            trigger=Trigger.ACTION,
        )
        assert found is not None
        assert inline.complete(catalogued.database, found.run).state is RunState.FAILED
        with monkeypatch.context() as patch:
            patch.setattr(DataHubClient, "datasets_with_tag", lambda *_, **__: iter(()))
            assert poll(catalogued) == []

        assert poll(catalogued) == []
        assert len(runs(catalogued)) == 1

    def test_a_tag_that_was_ingested_with_a_column_is_answered_once(
        self, catalogued: World
    ) -> None:
        """Nobody but its source can take it off."""
        ingest_field_tag(catalogued, "email", tags.RUN)
        (answer,) = poll(catalogued)
        assert inline.complete(catalogued.database, answer.run).write_back == "succeeded"

        assert poll(catalogued) == []
        assert len(runs(catalogued)) == 1

        ingest_field_tag(catalogued, "email", None)
        assert poll(catalogued) == []
        ingest_field_tag(catalogued, "email", tags.RUN)
        assert len(poll(catalogued)) == 1

    def test_beside_an_ingested_tag_another_columns_tag_is_a_new_request(
        self, catalogued: World
    ) -> None:
        urn = catalogued.source.urn("customers")
        ingest_field_tag(catalogued, "email", tags.RUN)
        (answer,) = poll(catalogued)
        catalogued.gms.store.upsert(
            urn,
            "editableSchemaMetadata",
            {
                "editableSchemaFieldInfo": [
                    {"fieldPath": "name", "globalTags": {"tags": [{"tag": tags.RUN}]}}
                ]
            },
        )
        inline.complete(catalogued.database, answer.run)

        (again,) = poll(catalogued)

        assert {column.name for column in again.run.columns} == {"email", "name"}
        inline.complete(catalogued.database, again.run)
        assert poll(catalogued) == []

    def test_a_tag_nobody_can_answer_is_said_once(self, catalogued: World) -> None:
        foreign = "urn:li:dataset:(urn:li:dataPlatform:snowflake,shop.customers,PROD)"
        catalogued.gms.seed_dataset(foreign, fields={"a": "text"}, tags=[tags.RUN])

        answers = {answer.dataset: answer for answer in poll(catalogued)}

        assert answers[foreign].run is None
        assert "platform snowflake" in answers[foreign].note
        assert poll(catalogued) == []

    def test_datahub_away_is_survived(self, catalogued: World) -> None:
        with catalogued.gms.faults.inject(drop="before"):
            assert poll(catalogued) == []

        assert len(poll(catalogued)) == 1

    def test_a_source_database_away_is_tried_again_at_the_next_look(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any) -> None:
            raise UpstreamUnavailable("PostgreSQL", "nothing listens")

        with monkeypatch.context() as patch:
            patch.setattr(
                "backend.tokenization.engines.postgres.engine.PostgresEngine.require_columns", away
            )
            assert poll(catalogued) == []

        assert len(poll(catalogued)) == 1


class TestAnswer:
    def answer(self, world: World) -> Any:
        return watch.answer(
            world.database, STEWARD, dataset=world.source.urn("customers"), trigger=Trigger.ACTION
        )

    def test_two_watchers_start_one_run(self, catalogued: World) -> None:
        assert self.answer(catalogued).run is not None
        assert self.answer(catalogued) is None
        assert poll(catalogued) == []

    def test_datahub_away_is_an_error_and_the_tag_is_not_lost(self, catalogued: World) -> None:
        with catalogued.gms.faults.inject(drop="before"), pytest.raises(UpstreamUnavailable):
            self.answer(catalogued)

        assert self.answer(catalogued).run is not None

    def test_needs_a_datahub_connection(self, database: Any, source: Any) -> None:
        with pytest.raises(NotFound):
            self.answer(make_world(database, source))

    def test_forgetting_makes_the_next_tag_count(self, catalogued: World) -> None:
        inline.complete(catalogued.database, self.answer(catalogued).run)
        put_tag(catalogued)
        assert self.answer(catalogued).run is not None
        inline.complete(catalogued.database, runs(catalogued)[0])
        watch.forget(catalogued.database, dataset=catalogued.source.urn("customers"))

        put_tag(catalogued)

        assert self.answer(catalogued).run is not None
