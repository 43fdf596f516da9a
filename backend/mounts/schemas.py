"""What the mounts package hands out: frozen, times aware UTC, requests masked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args
from zlib import crc32

from pydantic import BeforeValidator, Field, computed_field

from backend.core import clock
from backend.core.views import View
from backend.dms.shape import key_of

Sort = Literal["newest", "oldest", "host", "target", "job"]
SORTS: tuple[Sort, ...] = get_args(Sort)

#: In the order in which they are shown.
OrphanKind = Literal[
    "too_old",
    "host_unseen",
    "no_queue",
    "no_consumer",
    "duplicate",
    "deleted_mounted",
    "unknown_outcome",
    "unreadable",
]
ORPHAN_KINDS: tuple[OrphanKind, ...] = get_args(OrphanKind)

#: A BIGINT column holds job ids up to this, and down to its negative.
MOST_JOB = 2**63 - 1

#: The filter for an empty target or host; an empty filter means any.
EMPTY = "(empty)"


@dataclass(frozen=True)
class Filters:
    """What to show. None and "" mean any. since, until: when the entry was made; naive: in UTC.

    host: a name, or a part of names where no host is called just that. hosts: the names it stands
    for, once they were looked up.
    """

    host: str = ""
    target: str = ""
    job: int | None = None
    mounted: bool | None = None
    deleted: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    hosts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            moment: datetime | None = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, clock.in_utc(moment))


def aware(value: datetime | None) -> datetime | None:
    """A time of the ledger's database, which keeps them naive in UTC."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


#: Made from a naive time in UTC, or from an aware one.
Moment = Annotated[datetime, BeforeValidator(aware)]


class MountView(View):
    """One entry of the ledger: one job's hold on one target at one host.

    id: None where the ledger has none. jobid, created_at: None when they cannot be read; `problem`
    says what the row holds instead.
    """

    id: int | None
    backup_target_id: str
    jobid: int | None
    host: str
    mounted: bool
    deleted: bool
    created_at: Moment | None
    updated_at: Moment | None
    deleted_at: Moment | None
    version: str | None
    problem: str = ""

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so; mypy has no such rule
    @property
    def key(self) -> str:
        """What names the entry in addresses: its id, or job, target and host."""
        return key_of(self.id, self.jobid, self.backup_target_id, self.host)

    @property
    def number(self) -> int:
        """Orders entries by their making and goes into a cursor: the id, or made from the key."""
        if self.id is not None:
            return self.id
        seconds = int(self.created_at.timestamp()) if self.created_at else 0
        return (max(seconds, 0) << 28) | (crc32(self.key.encode()) >> 4)

    @property
    def since(self) -> datetime | None:
        """When it was mounted last: a later mount revives the entry. Else when it was made."""
        return self.updated_at or self.created_at if self.mounted else self.created_at


class MountPage(View):
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


class MountEntries(MountView):
    """A job's entries for a target, mounted ones first; the first one's fields on top as well."""

    items: tuple[MountView, ...]
    next_cursor: None = None


class Reason(View):
    """A kind of evidence against an entry, and the sentence that says it."""

    kind: OrphanKind
    evidence: str


class OrphanView(MountView):
    """A mounted entry with evidence against it."""

    reasons: tuple[Reason, ...]

    @property
    def evidence(self) -> dict[str, str]:
        return {reason.kind: reason.evidence for reason in self.reasons}


def reasons_of(said: Mapping[str, str]) -> tuple[Reason, ...]:
    return tuple(Reason.model_validate({"kind": k, "evidence": text}) for k, text in said.items())


def orphan(mount: MountView, said: Mapping[str, str]) -> OrphanView:
    """The entry with its evidence: kind of reason → one sentence."""
    return OrphanView(**dict(mount), reasons=reasons_of(said))


class OrphanPage(View):
    """found_at: when the evidence was gathered, None: never. complete False: the scan stopped at
    its limit. problem: what could not be looked at. failing_since: no scan has succeeded since.
    """

    items: tuple[OrphanView, ...]
    next_cursor: str | None
    found_at: datetime | None
    complete: bool = True
    counts: dict[str, int] = Field(default_factory=dict)
    problem: str = ""
    failing_since: datetime | None = None


def _document(request: str) -> dict[str, Any]:
    try:
        document = json.loads(request)
    except ValueError:  # cut at the column's limit
        return {"request": request[:2000]}
    return document if isinstance(document, dict) else {"request": document}


#: A column that may be NULL.
Words = Annotated[str, BeforeValidator(lambda value: value or "")]


class OperationView(View):
    """One request to a DMS server and what came of it. request and reply are masked."""

    id: int = Field(exclude=True)
    operation_id: str
    action: str
    backup_target_id: str
    host: str
    jobid: int
    status: str = Field(validation_alias="state")
    actor: Words
    owner: str = Field(exclude=True)
    note: Words
    request: Annotated[dict[str, Any], BeforeValidator(_document)]
    reply: Words
    replies: int
    settled_by: Words
    created_at: Moment
    reply_at: Moment | None
    finished_at: Moment | None


class OperationPage(View):
    items: tuple[OperationView, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Details:
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
    """Of the entries that the filters find, from the newest `sampled`; complete: that is all.

    pairs: (host, target, entries). active: (moment, mounts active then). durations: (bucket,
    count).
    """

    pairs: tuple[tuple[str, str, int], ...]
    active: tuple[tuple[datetime, int], ...]
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
