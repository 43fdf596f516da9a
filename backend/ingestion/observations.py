"""What one status check of a run saw in AWS."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.core import clock
from backend.models.ingestion import IngestionRun

#: The longest a Lambda call may take, when AWS did not tell the function's own limit.
LAMBDA_LIMIT = 900
#: Log lines arrive late.
LOG_GRACE = timedelta(seconds=120)


@dataclass
class Observation:
    """What a status check saw. Fields that stay None or empty do not change the row.

    settled: no further look will change anything, and the dataset may be run again.
    note: beside what is known already, which stays: why nothing could be learned now.
    """

    status: str | None = None
    detail: str = ""
    public_detail: str = ""
    settled: bool = False
    request_id: str | None = None
    execution_arn: str | None = None
    attempts: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    log_tail: tuple[str, ...] | None = None
    note: str = ""


def age(row: IngestionRun) -> timedelta:
    """How long ago it was sent."""
    return clock.now() - (row.sent_at or row.created_at)


def limit(row: IngestionRun) -> timedelta:
    """How long its function may take; a durable one no longer than any other where it is held."""
    seconds = row.timeout_seconds or LAMBDA_LIMIT
    return timedelta(seconds=min(seconds, LAMBDA_LIMIT) if row.invocation == "sync" else seconds)
