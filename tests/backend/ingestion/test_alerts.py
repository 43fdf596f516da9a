"""The Overview hears of failed and unknown runs, once per dataset and without AWS names."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

from sqlalchemy import insert, select, update

from backend.connections import environments
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion.alerts import alerts
from backend.ingestion.schemas import RunView
from backend.models import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN

DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.a.b,PROD)"


def _end(database: Database, run_id: str, status: str) -> None:
    with database.write() as session:
        session.execute(
            update(IngestionRun)
            .where(IngestionRun.run_id == run_id)
            .values(status=status, settled=True, active_key=None)
        )


def test_the_newest_run_of_a_dataset_counts(
    database: Database,
    aws: AwsStandIn,
    add_rule: Callable[..., object],
    start: Callable[..., RunView],
    actors: SimpleNamespace,
) -> None:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", DATASET, "earnings-lambda")
    for status, expected in (("failed", 1), ("unknown", 1), ("succeeded", 0)):
        _end(database, start(DATASET).run_id, status)
        with database.read() as session:
            items = alerts(session, actors.viewer)
        assert len(items) == expected
        assert "earnings" not in str(items)


def test_a_run_whose_environment_is_gone_is_nobodys_business(
    database: Database, aws: AwsStandIn, mapped: str, start: Callable[..., RunView]
) -> None:
    _end(database, start(URN).run_id, "failed")
    with database.write() as session:
        assert len(alerts(session, SYSTEM)) == 1
        environments.remove(session, SYSTEM, name="dev", confirm_name="dev")
        assert alerts(session, SYSTEM) == []


def test_seven_days_count_and_not_how_many_ran_since(
    database: Database, aws: AwsStandIn, mapped: str, start: Callable[..., RunView]
) -> None:
    _end(database, start(URN).run_id, "failed")
    with database.write() as session:
        first = session.scalars(select(IngestionRun)).one()
        columns = IngestionRun.__table__.columns.keys()
        values = {name: getattr(first, name) for name in columns if name != "id"}
        values |= {"dataset_urn": DATASET, "status": "succeeded", "idempotency_key": None}
        session.execute(
            insert(IngestionRun),
            [{**values, "run_id": f"later-{number}"} for number in range(1200)],
        )
        assert [item.query for item in alerts(session, SYSTEM)] == [
            (("view", "runs"), ("run", first.run_id), ("environment", "dev"))
        ]
        session.execute(
            update(IngestionRun).values(created_at=clock.now() - timedelta(days=7, minutes=1))
        )
        assert alerts(session, SYSTEM) == []
