"""An environment whose AWS is moto's server and whose DataHub, where asked for, is the stand-in."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from backend.accounts import api_tokens
from backend.cli import common, main
from backend.connections import environments, service
from backend.core import clock
from backend.core.access import SYSTEM, Actor
from backend.core.database import Database
from backend.core.settings import get_settings
from backend.ingestion import aws as target_facts
from backend.ingestion import catalog, mapping, runs, tracker
from backend.ingestion import service as ingestion
from backend.ingestion.schemas import Request, RunView
from backend.integrations.aws import clients, gateway
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.fixtures.api import rest_app

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.prices,PROD)"
OTHER = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.trades,PROD)"
JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),example_job)"
ARN_PROPERTY = "urn:li:structuredProperty:io.example.stateMachineArn"

AddRule = Callable[..., None]
Headers = Callable[[str], dict[str, str]]


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def aws_server() -> Iterator[AwsStandIn]:
    with AwsStandIn() as server:
        yield server
    clients.forget()


@pytest.fixture
def aws(aws_server: AwsStandIn) -> Iterator[AwsStandIn]:
    aws_server.reset()
    target_facts.forget()
    gateway._runtimes.clear()
    catalog.forget()
    yield aws_server
    aws_server.faults.clear()


@pytest.fixture
def environment(database: Database, aws: AwsStandIn) -> str:
    """`dev`, the default environment, with an aws connection to moto and nothing else."""
    with database.write() as session:
        environments.add(session, SYSTEM, name="dev", default=True)
        service.save(
            session,
            SYSTEM,
            environment="dev",
            kind="aws",
            settings=aws.settings(),
            secrets_in=aws.secrets(),
        )
    return "dev"


@pytest.fixture
def add_rule(database: Database, environment: str) -> AddRule:
    """add_rule("exact", URN, "earnings-lambda")"""

    def add(kind: str, pattern: str, target: str) -> None:
        with database.write() as session:
            mapping.put(session, SYSTEM, kind=kind, pattern=pattern, target=target)  # type: ignore[arg-type]

    return add


@pytest.fixture
def mapped(aws: AwsStandIn, add_rule: AddRule) -> str:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", URN, "earnings-lambda")
    return "earnings-lambda"


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """setenv(DATAHUB_INGESTION_LAMBDA_DEFAULT="x"), in force at once."""

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    return put


@pytest.fixture
def datahub(database: Database, environment: str) -> Iterator[StandIn]:
    """The environment's DataHub with the two datasets and a job."""
    os.environ.setdefault("DATAHUB_TELEMETRY_ENABLED", "false")
    with StandIn(token="t0k") as gms:
        for urn in (URN, OTHER):
            gms.seed_dataset(urn, fields={"id": "int"})
        with database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="dev",
                kind="datahub",
                settings={"server": gms.url},
                secrets_in={"token": gms.token},
            )
        yield gms
    catalog.forget()


@pytest.fixture
def start(database: Database, environment: str, actors: SimpleNamespace) -> Callable[..., RunView]:
    """start(URN, reason="…", actor=…)"""

    def go(dataset_urn: str = URN, *, actor: Actor | None = None, **values: object) -> RunView:
        request = Request(dataset_urn, **values)  # type: ignore[arg-type]
        return runs.start(database, actor or actors.operator, request)

    return go


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with TestClient(rest_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def token(database: Database) -> Headers:
    def make(role: str) -> dict[str, str]:
        with database.write() as session:
            raw = api_tokens.add(session, SYSTEM, name=f"{role}-bot", role=role).raw
        return {"Authorization": f"Bearer {raw}"}

    return make


@pytest.fixture
def run(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """run("resolve", "--dataset-urn", URN, "--json") → exit status, stdout, stderr."""

    def do(*arguments: str, stdin: str = "") -> Ended:
        common.database.cache_clear()
        monkeypatch.setattr(sys, "argv", ["backend", "ingest", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = main.main()
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return do


@pytest.fixture
def look(database: Database, actors: SimpleNamespace) -> Callable[..., RunView]:
    """Look at a run now, whatever its pause, until it has one of the statuses."""

    def go(run_id: str, *statuses: str, seconds: float = 60.0) -> RunView:
        deadline = time.monotonic() + seconds
        while True:
            tracker.check(database, run_id)
            with database.read() as session:
                run = ingestion.get_run(session, actors.admin, run_id=run_id)
            if not statuses or run.status in statuses or time.monotonic() > deadline:
                return run
            time.sleep(0.1)

    return go


@pytest.fixture
def age(database: Database) -> Callable[..., None]:
    """age(run_id, hours=7): the run was sent that long ago."""

    def go(run_id: str, **ago: float) -> None:
        then = clock.now() - timedelta(**ago)
        with database.write() as session:
            session.execute(
                update(IngestionRun)
                .where(IngestionRun.run_id == run_id)
                .values(sent_at=then, created_at=then, looked_at=None)
            )

    return go
