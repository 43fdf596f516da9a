"""URNs taken apart, odd ones refused, and the same page addresses as the SDK makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.errors import InvalidInput
from backend.integrations.datahub import sdk, urns

DATASET = "urn:li:dataset:(urn:li:dataPlatform:postgres,shop.public.customer,PROD)"


class TestParseDataset:
    def test_takes_it_apart(self):
        assert urns.parse_dataset(DATASET) == urns.DatasetUrn(
            "postgres", "shop.public.customer", "PROD"
        )

    def test_decodes_an_encoded_name(self):
        parsed = urns.parse_dataset(DATASET.replace("customer", "a%2Cb"))

        assert parsed.name == "shop.public.a,b"

    @pytest.mark.parametrize("name", ["a%20b", "100%", "a%25b", "a%2Fb"])
    def test_leaves_what_datahub_does_not_encode(self, name):
        assert urns.parse_dataset(DATASET.replace("customer", name)).name == f"shop.public.{name}"

    @pytest.mark.parametrize(
        "urn",
        [
            "",
            "customer",
            "urn:li:dataset:",
            "urn:li:dataset:customer",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,customer)",
            "urn:li:dataset:(postgres,customer,PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:,customer,PROD)",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,,PROD)",
            DATASET + ")",
            DATASET[:-1],
            " " + DATASET,
            DATASET + "\n",
            DATASET.replace("shop", "x" * 500),
            "urn:li:dataJob:(urn:li:dataFlow:(airflow,portal,PROD),nightly)",
        ],
    )
    def test_refuses_what_is_none(self, urn):
        with pytest.raises(InvalidInput):
            urns.parse_dataset(urn)


class TestParseDataJob:
    def test_takes_it_apart(self):
        flow = "urn:li:dataFlow:(airflow,portal,PROD)"

        assert urns.parse_data_job(f"urn:li:dataJob:({flow},nightly)") == urns.DataJobUrn(
            flow, "nightly"
        )

    @pytest.mark.parametrize("urn", [DATASET, "urn:li:dataJob:(airflow,nightly)", "nightly"])
    def test_refuses_what_is_none(self, urn):
        with pytest.raises(InvalidInput, match="not a"):
            urns.parse_data_job(urn)


@given(st.text())
def test_no_text_breaks_the_parser(text):
    assert urns.is_valid(text) in (True, False)
    assert urns.is_valid(f"urn:li:dataset:{text}") in (True, False)


@pytest.mark.parametrize(
    "urn",
    [
        DATASET,
        "urn:li:tag:tokenize/run",
        "urn:li:dataJob:(urn:li:dataFlow:(airflow,portal,PROD),nightly)",
        "urn:li:dataFlow:(airflow,portal,PROD)",
        "urn:li:corpuser:datahub",
        "urn:li:corpGroup:team",
        "urn:li:glossaryTerm:pii",
    ],
)
def test_page_addresses_are_the_sdks(urn):
    sdk.load()
    from datahub.ingestion.graph.links import make_url_for_urn

    assert urns.ui_url("https://catalog.example/", urn) == make_url_for_urn(
        "https://catalog.example", urn
    )


def test_splits_keys_as_the_sdk_does():
    sdk.load()
    from datahub.utilities.urns.urn import Urn

    for urn in (DATASET, "urn:li:tag:tokenize/run", "urn:li:schemaField:(" + DATASET + ",a%2Cb)"):
        parsed = Urn.from_string(urn)
        assert urns.entity_type(urn) == parsed.entity_type
        assert list(urns.key_parts(urn)) == parsed.entity_ids
