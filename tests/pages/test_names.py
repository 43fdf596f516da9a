"""What things are called for people."""

from pages.shared import names


def test_a_sentence_names_datasets_and_data_jobs_as_people_do() -> None:
    dataset = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.sales.orders,PROD)"
    job = "urn:li:dataJob:(urn:li:dataFlow:(airflow,nightly,PROD),load)"
    assert names.with_names(f"Started the ingestion of {dataset}, not of {job}.") == (
        "Started the ingestion of AwsDataCatalog.sales.orders, not of load."
    )
    other = "Wrote urn:li:tag:tokenize/run and urn:li:dataset:(cut"
    assert names.with_names(other) == other
