"""One run per dataset and the mapping's revision on PostgreSQL and MariaDB, too."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.connections import environments, service
from backend.core import secret_store
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import mapping, runs
from backend.ingestion import service as ingestion
from backend.ingestion.errors import AlreadyRunning
from backend.ingestion.schemas import Request, RunFilter
from backend.migrations import runner
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import OTHER, URN


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def served(request: pytest.FixtureRequest, data_dir: Path, aws: AwsStandIn) -> Iterator[Database]:
    """A migrated database of a real server, with the dev environment and a default rule."""
    database = Database(request.getfixturevalue(request.param))
    runner.upgrade(database)
    secret_store.ensure(database, secret_store.get_vault())
    with database.write() as session:
        environments.add(session, SYSTEM, name="dev", default=True)
        service.save(
            session, SYSTEM, environment="dev", kind="aws",
            settings=aws.settings(), secrets_in=aws.secrets(),
        )  # fmt: skip
        mapping.put(session, SYSTEM, kind="default", pattern="", target="f")
    aws.add_function("f", seconds=60)
    yield database
    database.dispose()


def test_posts_at_once_make_one_run(
    served: Database, aws: AwsStandIn, actors: SimpleNamespace
) -> None:
    gate = threading.Barrier(6)

    def post(number: int) -> str:
        gate.wait()
        key = "form-1" if number % 2 else None
        try:
            request = Request(URN, idempotency_key=key)
            return runs.start(served, actors.operator, request).run_id
        except AlreadyRunning as exc:
            return exc.run.run_id

    with ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(post, range(6)))
    assert (len(ids), len(aws.starts())) == (1, 1)


def test_rules_and_runs_are_kept_and_found(served: Database, actors: SimpleNamespace) -> None:
    odd = "urn:li:dataset:(urn:li:dataPlatform:athena,数据.Клиент tab_le 100%!,PROD)"
    with served.write() as session:
        mapping.import_text(
            session, SYSTEM, text=json.dumps({odd: "g", OTHER: "h"}), replace_all=False
        )
    with served.read() as session:
        found = mapping.view(session, SYSTEM, text="100%!")
        assert [rule.pattern for rule in found.rules] == [odd]
        assert mapping.view(session, SYSTEM).total == 3
    run = runs.start(served, actors.operator, Request(OTHER.replace("trades", "TRADES")))
    with served.read() as session:
        page = ingestion.list_runs(session, SYSTEM, wanted=RunFilter(OTHER))
        assert page.items == ()
        page = ingestion.list_runs(session, SYSTEM, wanted=RunFilter(run.dataset_urn))
        assert [item.run_id for item in page.items] == [run.run_id]
    assert run.rule == "default"  # URNs differ by case
    with served.read() as session:
        found = ingestion.recent(session, SYSTEM, wanted=RunFilter(run.dataset_urn))
        assert found.moments == ((run.created_at, run.status),)


def test_a_payload_of_250_kb_is_kept_whole(served: Database, actors: SimpleNamespace) -> None:
    run = runs.start(served, actors.operator, Request(URN, reason="é" * 120_000))
    with served.read() as session:
        kept = ingestion.get_run(session, SYSTEM, run_id=run.run_id)
    assert json.loads(kept.payload)["reason"] == "é" * 120_000
    assert kept.reason == json.loads(kept.payload)["reason"]
