"""What user sync hands out: plans, rows, runs, items, settings; and what its filters take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backend.integrations.directory.graphql.presets import Preset as Preset  # handed out here
from backend.integrations.openmetadata.schemas import DomainRef as DomainRef  # handed out here
from backend.integrations.openmetadata.schemas import Preflight
from backend.user_sync.fields import DEFAULT, Changes, differing, labels

Kind = Literal[
    "update",
    "unchanged",
    "not_found",
    "unknown_domain",
    "invalid",
    "duplicate",
    "leaver",
    "renamed",
]
KINDS: tuple[Kind, ...] = (
    "update",
    "unknown_domain",
    "not_found",
    "duplicate",
    "invalid",
    "unchanged",
)
#: Kinds of rows about users of OpenMetadata, to be looked at only: nothing is ever written to them.
OBSERVED: tuple[Kind, ...] = ("leaver", "renamed")
#: What people read for each of `PlanView.counts`, everywhere the same.
LABELS = {
    "changes": "Will change",
    "update": "Will change",
    "unchanged": "Same",
    "not_found": "Not in OpenMetadata",
    "unknown_domain": "Unknown domain",
    "invalid": "Invalid",
    "duplicate": "Duplicate",
    "leaver": "Not in the directory",
    "renamed": "Probably renamed",
    "rows": "All",
}
#: How the reasons of a revert's rows begin.
TAKES_BACK = "takes back a change"
DOMAIN_MODES = ("replace", "add", "only_when_empty")
ItemState = Literal["pending", "sending", "applied", "conflict", "failed", "unknown"]
ITEM_STATES: tuple[ItemState, ...] = (
    "applied",
    "conflict",
    "failed",
    "unknown",
    "sending",
    "pending",
)
RunState = Literal["queued", "running", "succeeded", "partial", "stopped", "cancelled"]
ENDED: tuple[RunState, ...] = ("succeeded", "partial", "stopped", "cancelled")


@dataclass(frozen=True)
class PlanView:
    """A plan's head. kinds: rows per kind; fields: users per field that would change.

    expired: it may not be applied any more. run_id: set once it was applied.
    changes: rows that can be applied.
    """

    id: int
    environment_id: int
    environment: str
    state: Literal["planning", "ready", "failed"]
    origin: str
    reverts_run_id: int | None
    error: str | None
    actor_name: str
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None
    expired: bool
    host_port: str
    server_version: str
    directory_count: int
    listed_count: int
    matched_count: int
    kinds: dict[str, int]
    fields: dict[str, int]
    domain_names: tuple[str, ...]
    digest: str
    job_id: int | None
    run_id: int | None

    @property
    def changes(self) -> int:
        return self.fields.get("users", 0)

    @property
    def observed(self) -> dict[str, int]:
        """Users of OpenMetadata the directory does not name, per kind of OBSERVED."""
        return {kind: self.fields.get(kind, 0) for kind in OBSERVED}

    @property
    def counts(self) -> dict[str, int]:
        """What page, command line and REST say of a plan, one count for each filter of its rows.

        `changes` are all users that an apply can write; of them, those with an unknown domain
        (whose name differs) are among `unknown_domain`, too. `rows`: people of the directory.
        """
        kinds = {kind: self.kinds.get(kind, 0) for kind in KINDS if kind != "update"}
        rows = sum(self.kinds.values())
        return {"changes": self.changes, **kinds, **self.observed, "rows": rows}

    @property
    def told(self) -> str:
        """The counts as a sentence's part, those that are zero left out."""
        said = [
            f"{count:,} {_small(LABELS[name])}"
            for name, count in self.counts.items()
            if count and name not in ("changes", "rows")
        ]
        both = self.changes - self.kinds.get("update", 0)
        too = f" (of them {both:,} with an unknown domain)" if both > 0 else ""
        return ", ".join([f"{self.changes:,} will change{too}", *said])


def _small(label: str) -> str:
    return label[0].lower() + label[1:]


@dataclass(frozen=True)
class RowView:
    """One directory user of a plan. old_domains never holds inherited ones.

    changes says what would be written: attribute → (old, new); look_alike: the two names differ
    only in white space, invisible characters or Unicode form. unknown: what the directory calls
    domains that nobody has.
    """

    plan_id: int
    position: int
    kind: Kind
    reason: str
    email: str
    user_id: str | None
    user_name: str | None
    user_url: str | None
    version: float | None
    updated_at: int | None
    old_name: str | None
    new_name: str | None
    sets_name: bool
    look_alike: bool
    old_domains: tuple[DomainRef, ...]
    new_domains: tuple[DomainRef, ...]
    inherited: tuple[DomainRef, ...]
    sets_domains: bool
    texts: Mapping[str, tuple[str | None, str | None]]
    unknown: tuple[str, ...]

    @property
    def changes(self) -> Changes:
        return differing(
            (self.old_name, self.new_name) if self.sets_name else None,
            (self.old_domains, self.new_domains) if self.sets_domains else None,
            self.texts,
        )

    @property
    def applicable(self) -> bool:
        return bool(self.changes)

    def why(self, *, beside_diff: bool = False) -> str:
        """Why somebody was matched or not, and which rule decided what is written."""
        if self.kind not in ("update", "unchanged", "unknown_domain") or self.reason.startswith(
            TAKES_BACK
        ):
            return self.reason
        differ = self.changes
        found = f"matched by e-mail with {self.user_name}"
        verb = "differ" if self.sets_domains or len(differ) > 1 else "differs"
        said = f"{labels(differ)} {verb}" if differ else "nothing to change"
        return "; ".join(filter(None, (found, "" if beside_diff else said, self.reason)))


@dataclass(frozen=True)
class RowFilter:
    """kinds: any of them, () for every directory user (OBSERVED only when named); domain: a full
    name, any case; text: in e-mail, user or display name."""

    kinds: tuple[str, ...] = ()
    domain: str = ""
    text: str = ""
    only_applicable: bool = False


@dataclass(frozen=True)
class RowPage:
    """total: rows the filter finds, of which `items` starts at `offset`."""

    items: tuple[RowView, ...]
    total: int
    offset: int


@dataclass(frozen=True)
class RunView:
    """A run's head. counts: items per state. reused: the plan had been applied before."""

    id: int
    plan_id: int
    environment_id: int
    environment: str
    state: RunState
    note: str
    job_id: int | None
    actor_name: str
    total: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    counts: dict[str, int]
    reused: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def clean(self) -> bool:
        return self.state == "succeeded"

    @property
    def done(self) -> int:
        return self.total - self.counts.get("pending", 0) - self.counts.get("sending", 0)

    @property
    def unsettled(self) -> int:
        """Users not tried and writes of unknown outcome: what continuing looks at."""
        return self.total - self.done + self.counts.get("unknown", 0)


@dataclass(frozen=True)
class ItemView:
    """One user of a run, with what was asked for."""

    position: int
    user_id: str
    email: str
    state: ItemState
    reason: str
    stored: tuple[str, ...]
    version_after: float | None
    finished_at: datetime | None
    row: RowView


@dataclass(frozen=True)
class Settings:
    """How an environment plans and applies.

    plan_cron: five fields, UTC, "" = no schedule. min_share: a directory answer below this share
    of the last good one stops planning. limit_percent of the matched users, from limit_from
    matched users up, may change without a typed confirmation. page_size: users of OpenMetadata a
    page, halved while one takes longer than `timeout` seconds; directory_timeout: seconds for one
    answer of the directory. domain_mode: see `domain_names.Rules`. attributes: what is kept in
    step, names of `fields.ATTRIBUTES` with commas between.
    """

    plan_cron: str = ""
    apply_on_schedule: bool = False
    min_share: float = 0.8
    limit_percent: float = 20.0
    limit_from: int = 100
    expires_hours: float = 24.0
    concurrency: int = 12
    page_size: int = 1000
    timeout: float = 30.0
    directory_timeout: float = 120.0
    domain_mode: str = "replace"
    attributes: str = DEFAULT

    def exceeded_by(self, users: int, matched: int) -> bool:
        """Whether so many changed users need a typed confirmation."""
        return matched >= self.limit_from and users > matched * self.limit_percent / 100


@dataclass(frozen=True)
class SettingsView:
    environment: str
    settings: Settings
    last_good_count: int | None
    last_good_at: datetime | None
    next_plan_at: datetime | None
    updated_at: datetime | None
    updated_by: str


@dataclass(frozen=True)
class LeaverView:
    """A user of OpenMetadata whom the directory does not name. last_login and owns (how many
    things): None where the server does not tell."""

    email: str
    user_id: str
    user_name: str
    user_url: str
    kind: str
    reason: str
    display_name: str
    domains: tuple[str, ...]
    last_login: datetime | None
    owns: int | None


@dataclass(frozen=True)
class DomainMapView:
    """said: the directory's word; domain: the full name meant by it."""

    id: int
    said: str
    domain: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    ended_by: str


@dataclass(frozen=True)
class Tried:
    """One person as the planner would read them. refused: why it would be no use, "" otherwise."""

    email: str
    display_name: str
    domains: tuple[str, ...]
    refused: str


@dataclass(frozen=True)
class TryView:
    environment: str
    people: tuple[Tried, ...]


@dataclass(frozen=True)
class UploadView:
    environment: str
    name: str
    people: int
    uploaded_at: datetime
    uploaded_by: str


@dataclass(frozen=True)
class PreflightView(Preflight):
    """What the portal may do at an environment's OpenMetadata server."""

    environment: str = ""

    def told(self) -> list[tuple[str, str]]:
        """(question, answer) as people read them."""
        kind = "a bot" if self.is_bot else "an admin" if self.is_admin else "no admin"
        return [
            ("Version", f"{self.server_version}. {self.rules}"),
            ("Account", f"{self.principal or 'unknown'}, {kind}"),
            ("Sees e-mails", _yes(self.sees_emails)),
            ("May change names", _yes(self.may_rename, "as far as its role allows")),
            ("Guards against concurrent edits", _yes(self.if_match, "could not be found out")),
            ("Users", "unknown" if self.users is None else f"{self.users:,}"),
            ("A page", f"{self.page_users:,} users in {self.page_ms:,.0f} ms"),
            *(("Warning", warning) for warning in self.warnings),
        ]


def _yes(value: bool | None, unknown: str = "unknown") -> str:
    return unknown if value is None else "yes" if value else "no"


@dataclass(frozen=True)
class IgnoreView:
    id: int
    environment_id: int
    user_id: str
    email: str
    field: str
    difference: str
    author: str
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class Waiting:
    """Changes that wait for review, for the Overview."""

    environment: str
    plan_id: int
    changes: int
    planned_at: datetime
