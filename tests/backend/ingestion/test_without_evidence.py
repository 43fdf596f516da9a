"""Calls whose end the log shows and whose outcome it does not tell."""

import pytest
from sqlalchemy import select

from backend.core import clock
from backend.core.database import Database
from backend.ingestion import looking
from backend.integrations.aws.logs import CallLog
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import URN, AddRule
from tests.backend.ingestion.test_follow import Start


class TestWithoutEvidence:
    """A runtime that leaves no trace of a failure."""

    @pytest.mark.parametrize(("attempts", "settled"), [(1, False), (3, True)])
    def test_is_unknown_and_stays_open_while_a_retry_may_come(
        self, add_rule: AddRule, start: Start, aws: AwsStandIn, database: Database,
        attempts: int, settled: bool,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=600)
        add_rule("exact", URN, "f")
        run = start()
        now = clock.now()
        call = CallLog("ended", attempts=attempts, started_at=now, finished_at=now)
        with database.read() as session:
            row = session.scalars(select(IngestionRun).where(IngestionRun.run_id == run.run_id))
            found = looking._from_lines(row.one(), call)
        assert (found.status, found.settled) == ("unknown", settled)
        assert "its log does not tell whether it succeeded" in found.detail
