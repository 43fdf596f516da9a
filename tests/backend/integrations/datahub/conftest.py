"""A fresh DataHub stand-in per test, a client on it, and where the contract is, if it is here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.integrations.datahub.client import DataHubClient
from backend.sandbox.datahub import StandIn

CUSTOMER = "urn:li:dataset:(urn:li:dataPlatform:mysql,shop.customer,PROD)"
ORDERS = "urn:li:dataset:(urn:li:dataPlatform:mysql,shop.orders,PROD)"
NIGHTLY = "urn:li:dataJob:(urn:li:dataFlow:(airflow,portal,PROD),nightly)"
RUN = "urn:li:tag:tokenize/run"
DONE = "urn:li:tag:tokenize/done"
PII = "urn:li:tag:pii"
CONTRACT = Path(__file__).resolve().parents[5] / "shared" / "contracts" / "datahub"


@pytest.fixture
def gms() -> Iterator[StandIn]:
    with StandIn() as server:
        server.seed_dataset(
            CUSTOMER,
            fields={"id": "integer", "email": "varchar(255)", "city": "text"},
            primary_keys=["id"],
            description="Who buys",
            tags=[PII],
            field_tags={"email": [PII]},
            custom_properties={"a": "1"},
            links=[("https://wiki.example/a", "a")],
        )
        server.seed_dataset(ORDERS, fields={"id": "integer"})
        yield server


@pytest.fixture
def client(gms: StandIn) -> Iterator[DataHubClient]:
    with DataHubClient(gms.url, gms.token, frontend_url=gms.url) as made:
        yield made


@pytest.fixture(scope="session")
def contract() -> Path:
    """The contract's directory; skips where it is not beside the checkout."""
    if not CONTRACT.is_dir():
        pytest.skip(f"DataHub's contract is not beside the checkout ({CONTRACT})")
    return CONTRACT


@pytest.fixture(scope="session")
def sample(contract: Path) -> Any:
    """sample("patch-cases") → the parsed file."""
    return lambda name: json.loads((contract / "samples" / f"{name}.json").read_text("utf-8"))
