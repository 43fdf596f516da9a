"""What the sandbox's DataHub knows: the embedded PostgreSQL's tables, datasets to ingest, a job.

Names match the other parts: the tables of postgres.py and the functions of aws.py.
"""

from backend.sandbox.datahub import StandIn

STATE_MACHINE_PROPERTY = "urn:li:structuredProperty:ingestion.state_machine_arn"
STATE_MACHINE_ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:nightly-refresh"
RUN_TAG = "urn:li:tag:tokenize/run"
PII_TAG = "urn:li:tag:pii"


def athena(name: str) -> str:
    """The URN of a dataset that a Lambda ingests."""
    return f"urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.{name},PROD)"


def seed(gms: StandIn) -> None:
    """Everything, once; saved as one, so that a start that is given up half-way leaves nothing."""
    with gms.store.batch():
        _tables(gms)
        _to_ingest(gms)
        gms.seed_ingestion_source("Postgres nightly", "postgres")
        gms.seed_ingestion_source("Athena hourly", "athena")


def _tables(gms: StandIn) -> None:
    from backend.sandbox import postgres_tables

    gms.seed_tag(RUN_TAG, "Tokenize the personal columns of this dataset.")
    gms.seed_tag(PII_TAG, "Personal data.")
    for table in postgres_tables.TABLES:
        gms.seed_dataset(
            table.urn,
            fields=table.fields,
            description=table.description,
            tags=[RUN_TAG] if table.tokenize else [],
            field_tags={column: [PII_TAG] for column in table.personal},
            primary_keys=table.primary_keys,
        )


def _to_ingest(gms: StandIn) -> None:
    prices = {"symbol": "varchar", "price": "double", "traded_at": "timestamp"}
    for name, text in (
        ("financial_data.us_stocks_sip_v2", "Trades of US stocks, consolidated tape."),
        ("financial_data.polygon_prices", "Daily prices."),
        ("marketing.campaigns", "Campaigns and their budgets."),
    ):
        gms.seed_dataset(athena(name), fields=prices, description=text)
    gms.seed_data_job(
        "urn:li:dataJob:(urn:li:dataFlow:(airflow,nightly,PROD),refresh)",
        name="Nightly refresh",
        structured={STATE_MACHINE_PROPERTY: STATE_MACHINE_ARN},
        writes=[athena("marketing.campaigns")],
    )
