"""What the jobs package hands out."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
OPEN_STATES: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True)
class JobView:
    """A job's row. progress_total None: the total is not known yet."""

    id: int
    kind: str
    title: str
    subject: str
    state: State
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

    @property
    def ended(self) -> bool:
        return self.state not in OPEN_STATES

    @property
    def share(self) -> float | None:
        """Progress from 0.0 to 1.0, or None while the total is unknown."""
        if not self.progress_total:
            return None
        return min(1.0, self.progress_done / self.progress_total)


@dataclass(frozen=True)
class LogLine:
    id: int
    at: datetime
    line: str


@dataclass(frozen=True)
class DayCount:
    """How many of a (UTC) day's jobs are in a state now."""

    day: date
    state: State
    count: int


@dataclass(frozen=True)
class KindCount(DayCount):
    """How many of a (UTC) day's jobs of one kind are in a state now."""

    kind: str


@dataclass(frozen=True)
class JobPage:
    """items: newest first. next_cursor: pass as `before` for the page after, None at the end."""

    items: tuple[JobView, ...]
    next_cursor: int | None
