"""What REST and `--json` say about jobs: the views under outward names."""

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.core.views import View


class JobAnswer(View):
    """A job. progress_total null: the total is not known yet. result: what its kind hands over."""

    id: int
    kind: str
    title: str
    subject: str
    status: str = Field(validation_alias="state")
    actor_name: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    worker: str | None
    attempt: int
    cancel_requested: bool
    progress_done: int
    progress_total: int | None
    note: str
    error: str | None
    result: dict[str, Any] | None


class JobList(View):
    """Newest first."""

    items: list[JobAnswer]
    next_cursor: int | None


class RetentionRule(View):
    """How long a table's rows are kept. days: what the setting says, null for ever. due: rows that
    a clean-up would remove now."""

    table: str
    kept: str
    setting: str | None
    days: int | None
    due: int


class RetentionList(View):
    """One rule for every table."""

    items: list[RetentionRule]


class RetentionRun(View):
    """removed: rows by table."""

    removed: dict[str, int]
