"""What one look at a run found."""

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Finding:
    """Fields that stay None or empty do not change the row.

    settled: no further look will change anything, and the dataset may be run again.
    note: beside what is known already, which stays: why nothing could be learned now.
    """

    status: str | None = None
    note: str = ""
    detail: str = ""
    public_detail: str = ""
    settled: bool = False
    request_id: str | None = None
    execution_arn: str | None = None
    attempts: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    log_tail: tuple[str, ...] | None = None
