"""The proof in DataHub: its own step, retried apart from the data change."""

import pytest

from backend.connections import service as connections
from backend.core.errors import InvalidInput, UpstreamError, UpstreamUnavailable
from backend.integrations.datahub.client import DataHubClient
from backend.jobs import service as jobs
from backend.sandbox.datahub.refusals import Refused
from backend.tokenization import reconcile, service, tags, tasks, write_back
from backend.tokenization.schemas import RunState, WriteBackState
from tests.backend.tokenization.world import (
    ADMIN,
    STEWARD,
    World,
    seed_dataset,
)


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

    def test_ingested_documentation_is_not_copied(self, catalogued: World) -> None:
        seed_dataset(catalogued.gms, catalogued.source, description="Ingested words.")

        catalogued.work(catalogued.start("customers"))

        after = catalogued.gms.aspect(
            catalogued.source.urn("customers"), "editableDatasetProperties"
        )["description"]
        assert after.startswith("## Tokenization")
        assert "Ingested words." not in after
        assert "in place of the description that ingestion brought" in after

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

    def test_an_older_server_takes_every_patch(self, catalogued: World) -> None:
        catalogued.gms.store.only_array_patches = True
        with pytest.raises(Refused, match="Invalid JSON Patch"):
            catalogued.gms.store.patch(
                catalogued.source.urn("customers"),
                "globalTags",
                {"arrayPrimaryKeys": {"tags": ["tag"]}, "patch": []},
            )

        ended = catalogued.work(catalogued.start("customers"))

        assert ended.write_back is WriteBackState.SUCCEEDED, ended.write_back_details
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_the_proof_outlives_the_next_ingestion(self, catalogued: World) -> None:
        view = catalogued.work(catalogued.start("customers"))
        urn = catalogued.source.urn("customers")
        written = catalogued.gms.aspect(urn, "datasetProperties")["customProperties"]

        catalogued.gms.store.upsert(urn, "datasetProperties", {"customProperties": {"own": "1"}})

        with write_back.sources.datahub_client(catalogued.datahub()) as client:
            found = write_back.read_status(client, urn)
        assert found.last_run == written[tags.LAST_RUN_PROPERTY] == write_back.proof(view)
        assert "- Status: **SUCCESS**" in found.description

    def test_a_refused_structured_property_is_said_and_undoes_nothing(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_args: object, **_named: object) -> None:
            raise UpstreamError("DataHub", "it refuses this to the token's owner (403)", "Ask.")

        monkeypatch.setattr(DataHubClient, "ensure_structured_property", refused)

        ended = catalogued.work(catalogued.start("customers"))

        assert ended.write_back is WriteBackState.SUCCEEDED
        assert "could not be kept" in ended.write_back_details
        assert "403" in ended.write_back_details

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
        with catalogued.gms.faults.inject(drop="before"), pytest.raises(UpstreamUnavailable):
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

    def test_a_cancelled_run_leaves_datahub_as_it_was(self, catalogued: World) -> None:
        view = catalogued.start("customers")
        with catalogued.database.write() as session:
            jobs.cancel(session, ADMIN, job_id=view.job_id or 0)
        assert reconcile.reconcile_one(catalogued.database, view.id).state is RunState.CANCELLED

        with (
            pytest.raises(InvalidInput, match="was cancelled; nothing to write"),
            catalogued.database.write() as session,
        ):
            service.retry_write_back(session, STEWARD, run_id=view.id)
        write_back.attempt(catalogued.database, view.id)
        assert catalogued.tags() == {"tokenize/run"}

    def test_without_a_connection_any_more_it_is_skipped(self, catalogued: World) -> None:
        view = catalogued.start("customers")
        with catalogued.database.write() as session:
            connections.remove(session, ADMIN, environment="test", kind="datahub")

        assert catalogued.work(view).write_back is WriteBackState.SKIPPED
