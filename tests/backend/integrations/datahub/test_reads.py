"""What the adapter reads, against the stand-in."""

from datetime import UTC, datetime

import pytest

from backend.core.errors import InvalidInput, NotFound, TooMuch
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import MISSING_CLIENT_ID, ColumnLineage, ColumnRef
from backend.sandbox.datahub import StandIn
from tests.backend.integrations.datahub.conftest import CUSTOMER, NIGHTLY, ORDERS, PII, RUN

ARN = "urn:li:structuredProperty:io.portal.arn"


class TestProbe:
    def test_tells_version_configuration_and_who_the_token_is(self, gms, client):
        gms.add_token("second", actor="urn:li:corpuser:steward")

        probe = client.probe()
        other = DataHubClient(gms.url, "second").probe()

        assert probe.server_version == "v1.7.0"
        assert probe.server_config["noCode"] == "true"
        assert probe.user_urn == "urn:li:corpuser:datahub"
        assert other.user_urn == "urn:li:corpuser:steward"

    def test_survives_a_configuration_without_versions(self):
        with StandIn(config={"versions": None}) as gms, DataHubClient(gms.url, gms.token) as client:
            assert client.probe().server_version is None

    def test_works_through_the_address_of_the_web_interface_proxy(self, gms):
        with DataHubClient(gms.url + "/api/gms", gms.token) as client:
            assert client.probe().server_version == "v1.7.0"


class TestClientInfo:
    def test_reads_the_telemetry_identity_though_telemetry_is_off(self, gms, client):
        info = client.client_info()

        assert (
            info.client_id
            == gms.aspect("urn:li:telemetry:clientId", "telemetryClientId")["clientId"]
        )
        assert info.server_id == info.client_id
        assert info.frontend_base_url == gms.url

    def test_says_missing_for_a_server_without_one(self):
        with (
            StandIn(client_id=None) as gms,
            DataHubClient(gms.url, gms.token) as client,
        ):
            info = client.client_info()

        assert info.client_id == MISSING_CLIENT_ID == "MISSING_SERVER_ID"
        assert info.frontend_base_url is None

    def test_takes_the_frontend_from_the_server_when_none_is_set(self):
        with (
            StandIn(config={"baseUrl": "https://catalog.example"}) as gms,
            DataHubClient(gms.url, gms.token) as client,
        ):
            assert client.client_info().frontend_base_url == "https://catalog.example"
            assert client.make_url(PII) == "https://catalog.example/tag/urn%3Ali%3Atag%3Apii/"


class TestExists:
    def test_tells_known_from_unknown(self, client):
        assert client.exists(CUSTOMER)
        assert not client.exists(CUSTOMER.replace("customer", "nope"))

    def test_refuses_what_is_no_urn(self, client):
        with pytest.raises(InvalidInput, match="not a DataHub URN"):
            client.exists("customer")

    def test_refuses_a_type_that_datahub_does_not_have(self, client):
        with pytest.raises(InvalidInput, match="no entities of type 'planet'"):
            client.exists("urn:li:planet:earth")


class TestDataset:
    def test_joins_ingested_and_edited_parts(self, gms, client):
        gms.seed_dataset(
            ORDERS,
            fields={"id": "integer", "note": "text"},
            ingested_field_tags={"note": [PII]},
            field_tags={"note": [RUN, PII]},
            editable_description="Edited",
            description="Ingested",
        )

        dataset = client.dataset(ORDERS)

        assert (dataset.platform, dataset.name, dataset.origin) == ("mysql", "orders", "PROD")
        assert (dataset.description, dataset.editable_description) == ("Ingested", "Edited")
        note = dataset.field("note")
        assert note is not None
        assert note.ingested_tags == (PII,)
        assert note.editable_tags == (RUN, PII)
        assert note.tags == (PII, RUN)
        assert dataset.field_tags == {"note": (PII, RUN)}
        assert dataset.field("id").type == "NUMBER"

    def test_shows_links_properties_and_tags(self, client):
        dataset = client.dataset(CUSTOMER)

        assert dataset.tags == (PII,)
        assert dataset.custom_properties == {"a": "1"}
        assert [(link.url, link.label) for link in dataset.links] == [
            ("https://wiki.example/a", "a")
        ]
        assert dataset.links[0].created_at.utcoffset().total_seconds() == 0
        assert dataset.field("id").nullable is False

    def test_lists_a_tag_once_though_two_sources_set_it(self, gms, client):
        attributed = {
            "time": 0,
            "actor": "urn:li:corpuser:datahub",
            "source": "urn:li:dataHubAction:a",
        }
        gms.store.upsert(
            CUSTOMER,
            "globalTags",
            {"tags": [{"tag": PII}, {"tag": PII, "attribution": attributed}]},
        )

        assert client.dataset(CUSTOMER).tags == (PII,)

    def test_raises_not_found_for_an_unknown_dataset(self, client):
        with pytest.raises(NotFound, match="no dataset urn:li:dataset"):
            client.dataset(CUSTOMER.replace("customer", "nope"))

    def test_refuses_another_entity(self, client):
        with pytest.raises(InvalidInput, match="not a dataset URN"):
            client.dataset(NIGHTLY)


class TestSearch:
    def test_finds_by_text_and_pages(self, client):
        page = client.search_datasets("customer")
        everything = client.search_datasets(start=1, count=1)

        assert [hit.urn for hit in page.items] == [CUSTOMER]
        assert page.items[0].tags == (PII,)
        assert (everything.total, everything.count, len(everything.items)) == (2, 1, 1)

    def test_refuses_to_page_past_the_window(self, client):
        with pytest.raises(TooMuch, match="10,000"):
            client.search_datasets(start=9_990, count=20)


class TestDatasetsWithTag:
    def test_finds_the_tag_on_datasets_and_on_their_fields(self, gms, client):
        gms.seed_dataset(ORDERS, fields={"id": "integer"}, field_tags={"id": [RUN]})
        gms.seed_dataset(CUSTOMER, tags=[RUN])

        assert list(client.datasets_with_tag(RUN)) == [CUSTOMER, ORDERS]

    def test_scrolls_through_all_pages_and_stops_at_the_limit(self, gms, client):
        names = [CUSTOMER.replace("customer", f"t{n:02}") for n in range(12)]
        for name in names:
            gms.seed_dataset(name, tags=[RUN])

        assert list(client.datasets_with_tag(RUN, page_size=5)) == names
        assert list(client.datasets_with_tag(RUN, page_size=5, limit=7)) == names[:7]

    def test_leaves_out_removed_datasets(self, gms, client):
        gms.seed_dataset(CUSTOMER, tags=[RUN])
        gms.store.upsert(CUSTOMER, "status", {"removed": True})

        assert list(client.datasets_with_tag(RUN)) == []

    def test_sees_a_write_only_after_the_index_lag(self):
        with (
            StandIn(index_lag_seconds=3600) as gms,
            DataHubClient(gms.url, gms.token) as client,
        ):
            gms.seed_dataset(CUSTOMER, tags=[RUN])

            assert list(client.datasets_with_tag(RUN)) == []
            assert client.dataset(CUSTOMER).tags == (RUN,)


class TestDataJobProperty:
    def test_returns_texts_and_numbers(self, gms, client):
        count = "urn:li:structuredProperty:io.portal.count"
        gms.seed_data_job(NIGHTLY, structured={ARN: "arn:aws:states:1", count: [1.0, 2.5]})

        assert client.data_job_structured_property(NIGHTLY, ARN) == ("arn:aws:states:1",)
        assert client.data_job_structured_property(NIGHTLY, count) == (1.0, 2.5)

    def test_is_empty_for_an_unset_property_or_an_unknown_job(self, client):
        assert client.data_job_structured_property(NIGHTLY, ARN) == ()


OTHER_JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,portal,PROD),an_early_one)"


class TestWriters:
    def test_the_job_of_the_latest_run_stands_first(self, gms, client):
        gms.seed_dataset(CUSTOMER)
        gms.seed_data_job(OTHER_JOB, writes=[CUSTOMER])
        gms.seed_data_job(NIGHTLY, writes=[CUSTOMER, ORDERS])
        gms.seed_process_run("old", job=OTHER_JOB, wrote=CUSTOMER, at=1_000, result="SUCCESS")
        gms.seed_process_run("new", job=NIGHTLY, wrote=CUSTOMER, at=2_000, result="FAILURE")

        found = client.writers(CUSTOMER)

        assert [job.urn for job in found.jobs] == [NIGHTLY, OTHER_JOB]
        assert [job.latest for job in found.jobs] == [True, False]
        assert [job.last_run.result for job in found.jobs] == ["FAILURE", "SUCCESS"]
        assert found.jobs[0].last_run.at == datetime.fromtimestamp(2, UTC)
        assert (found.jobs[0].flow, found.jobs[0].orchestrator) == ("portal", "airflow")

    def test_a_run_tells_its_job_where_no_lineage_does(self, gms, client):
        gms.seed_dataset(CUSTOMER)
        gms.seed_data_job(NIGHTLY)
        gms.seed_process_run("new", job=NIGHTLY, wrote=CUSTOMER, at=2_000)

        found = client.writers(CUSTOMER)

        assert [(job.urn, job.latest) for job in found.jobs] == [(NIGHTLY, True)]
        assert found.total == 1

    def test_a_run_of_a_flow_alone_names_no_job(self, gms, client):
        gms.seed_dataset(CUSTOMER)
        flow = NIGHTLY.removeprefix("urn:li:dataJob:(").rpartition(",")[0]
        gms.seed_data_job(NIGHTLY, writes=[CUSTOMER])
        gms.seed_process_run("new", job=flow, wrote=CUSTOMER, at=2_000)

        found = client.writers(CUSTOMER)

        assert [(job.urn, job.latest, job.last_run) for job in found.jobs] == [
            (NIGHTLY, False, None)
        ]

    def test_a_dataset_that_nobody_knows_is_not_found(self, client):
        with pytest.raises(NotFound, match="has no dataset"):
            client.writers(CUSTOMER.replace("customer", "nobody"))


def test_make_url_addresses_the_page_in_the_web_interface(gms, client):
    assert client.make_url(NIGHTLY).startswith(f"{gms.url}/tasks/urn%3Ali%3AdataJob")
    assert DataHubClient(gms.url, gms.token).make_url(CUSTOMER) is None


class TestColumnLineage:
    MART = "urn:li:dataset:(urn:li:dataPlatform:postgres,dwh.mart.people,PROD)"

    def test_is_read_from_both_ends(self, gms, client):
        gms.seed_dataset(self.MART, fields={"mail": "text"})
        gms.seed_lineage(self.MART, {"mail": [(CUSTOMER, "email")]})

        from_above, from_below = client.column_lineage(CUSTOMER), client.column_lineage(self.MART)

        edge = (ColumnRef(CUSTOMER, "email"), ColumnRef(self.MART, "mail"))
        assert from_above.edges == from_below.edges == (edge,)
        assert from_above.complete

    def test_goes_through_jobs(self, gms, client):
        gms.seed_dataset(self.MART, fields={"mail": "text"})
        gms.seed_data_job(NIGHTLY)
        gms.seed_lineage(self.MART, {"mail": [(CUSTOMER, "email")]}, job=NIGHTLY)

        edge = (ColumnRef(CUSTOMER, "email"), ColumnRef(self.MART, "mail"))
        assert client.column_lineage(CUSTOMER).edges == (edge,)
        assert client.column_lineage(self.MART).edges == (edge,)

    def test_escaped_paths_are_read_as_they_are(self, gms, client):
        gms.seed_dataset(self.MART, fields={"mail": "text"})
        gms.seed_lineage(self.MART, {"mail": [(CUSTOMER, "e%28mail%29%20")]})

        ((upstream, _),) = client.column_lineage(self.MART).edges
        assert upstream.path == "e(mail)%20"

    def test_tells_siblings(self, gms, client):
        gms.seed_siblings(CUSTOMER, ORDERS)

        assert client.column_lineage(ORDERS).siblings == (CUSTOMER,)

    def test_of_an_unknown_dataset_is_nothing(self, client):
        assert client.column_lineage(self.MART) == ColumnLineage()


def test_datasets_with_a_column_of_exactly_that_name(client):
    assert list(client.datasets_with_column("email")) == [CUSTOMER]
    assert list(client.datasets_with_column("mail")) == []
    assert len(list(client.datasets_with_column("id"))) == 2
