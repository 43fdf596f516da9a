"""What the mounts room hands out: frozen, times aware UTC, requests masked."""

from dataclasses import dataclass, field
from datetime import MINYEAR, UTC, datetime
from typing import Any, Literal

Sort = Literal["newest", "oldest", "host", "target", "job"]
SORTS: tuple[Sort, ...] = ("newest", "oldest", "host", "target", "job")

OrphanKind = Literal[
    "too_old",
    "host_unseen",
    "no_queue",
    "no_consumer",
    "duplicate",
    "deleted_mounted",
    "unknown_outcome",
]
#: In the order in which they are shown.
ORPHAN_KINDS: tuple[OrphanKind, ...] = (
    "too_old",
    "host_unseen",
    "no_queue",
    "no_consumer",
    "duplicate",
    "deleted_mounted",
    "unknown_outcome",
)

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Filters:
    """What to show. None and "" mean any. since, until: when the entry was made; naive: in UTC."""

    host: str = ""
    target: str = ""
    job: int | None = None
    mounted: bool | None = None
    deleted: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            moment: datetime | None = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, _utc(moment))


def _utc(moment: datetime) -> datetime:
    """In UTC, and so far from the ends of the calendar that there is room to reckon with it."""
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == MINYEAR else LATEST
    return min(max(moment, EARLIEST), LATEST)


@dataclass(frozen=True)
class MountView:
    """One entry of the ledger."""

    id: int
    backup_target_id: str
    jobid: int
    host: str
    mounted: bool
    deleted: bool
    created_at: datetime
    updated_at: datetime | None
    deleted_at: datetime | None
    version: str | None


@dataclass(frozen=True)
class MountPage:
    """next_cursor: for the page after, None at the end.

    complete False: the search stopped at its limit of entries; the cursor goes on from there.
    sort: what was really sorted by.
    """

    items: tuple[MountView, ...]
    next_cursor: str | None
    sort: Sort = "newest"
    complete: bool = True


@dataclass(frozen=True)
class Facets:
    """Counts by host and target, the most frequent first.

    sampled: entries the counts are from; exact: that was all of them. total: matching entries,
    or None when only known to be more than `at_least`. estimated: total is the database's own
    estimate.
    """

    hosts: tuple[tuple[str, int], ...]
    targets: tuple[tuple[str, int], ...]
    sampled: int
    exact: bool
    at_least: int
    total: int | None
    estimated: bool = False


@dataclass(frozen=True)
class OrphanView:
    """A mounted entry with evidence against it: kind of reason → one sentence."""

    mount: MountView
    reasons: dict[str, str]


@dataclass(frozen=True)
class OrphanPage:
    """found_at: when the evidence was gathered. complete False: the scan stopped at its limit."""

    items: tuple[OrphanView, ...]
    next_cursor: str | None
    found_at: datetime | None
    complete: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class OperationView:
    """One request to a DMS server and what came of it. request and reply are masked."""

    id: int
    operation_id: str
    action: str
    backup_target_id: str
    host: str
    jobid: int
    state: str
    actor: str
    owner: str
    note: str
    request: dict[str, Any]
    reply: str
    replies: int
    settled_by: str
    created_at: datetime
    reply_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class OperationPage:
    items: tuple[OperationView, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Story:
    """Everything known about an entry; newest first. others: jobs on the same target and host."""

    mount: MountView
    others: tuple[MountView, ...]
    operations: tuple[OperationView, ...]
    events: tuple["StoryEvent", ...]


@dataclass(frozen=True)
class StoryEvent:
    """A line of the audit log."""

    at: datetime
    actor: str
    action: str
    phase: str
    outcome: str


@dataclass(frozen=True)
class Charts:
    """From the newest `sampled` entries; complete: that is the whole ledger.

    active: (hour or day, mounts active then). durations: (upper bound in minutes, count).
    """

    active: tuple[tuple[datetime, int], ...]
    by_host: tuple[tuple[str, int], ...]
    by_target: tuple[tuple[str, int], ...]
    durations: tuple[tuple[str, int], ...]
    sampled: int
    complete: bool


@dataclass(frozen=True)
class UnmountPreview:
    """What an unmount would do: every other job on the pair; sends: a message would go out."""

    mount: MountView
    others: tuple[MountView, ...]
    sends: bool
    why: str


@dataclass(frozen=True)
class TargetView:
    """A target template; the secret reference is write-only."""

    id: int
    target_id: str
    type: str
    filesystem_export: str
    mount_path: str
    nfs_mount_opts: str
    secret_set: bool
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True)
class WatchView:
    """What the scheduled scan of an environment knows. environment_id: 0 for DMS_* settings."""

    environment_id: int
    environment: str
    max_age_hours: int
    scanned_at: datetime | None
    active: int
    orphans: int
    too_old: int
    unknown: int
    complete: bool
    problem: str
    failing_since: datetime | None
