"""What change control hands out."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.changes.rules import Rule
from backend.core.views import View
from backend.core.words import counted

#: waiting → approved → running → how the work ended; or one of the ways in which nothing was done.
Status = Literal[
    "waiting",
    "approved",
    "running",
    "succeeded",
    "failed",
    "unknown",
    "refused",
    "rejected",
    "withdrawn",
    "expired",
]
OPEN: tuple[Status, ...] = ("waiting", "approved", "running")
DONE: tuple[Status, ...] = (
    "succeeded",
    "failed",
    "unknown",
    "refused",
    "rejected",
    "withdrawn",
    "expired",
)


class StepView(View):
    """What somebody did to a request. what: asked, approved, rejected, commented, …"""

    what: str
    at: datetime
    actor_name: str
    actor_kind: str
    text: str


class ChangeView(View):
    """A request. shown: the frozen intent as people may see it. details: more of it, for those who
    could ask for the same, while it is open. approvals: by whom so far; needed:
    how many there must be. run_id: of its run, or what stands for it until it begins. outcome: how
    it ended, or why nothing was done. change: its address. after: the request of its release that
    must have succeeded before."""

    id: int
    change: str
    status: Status
    environment: str
    action: str
    label: str
    subject: str
    reason: str
    shown: dict[str, Any]
    details: dict[str, Any] = Field(default_factory=dict)
    size: int | None
    unit: str
    digest: str
    rule: str
    needed: int
    approvals: tuple[str, ...]
    requester: str
    requester_kind: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None
    run_id: str
    job_id: int | None
    outcome: str

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What was frozen and is known besides, as (name, value) in words; what is empty is not
        said."""
        return tuple(
            (
                name.replace("_", " "),
                ", ".join(map(str, value)) if isinstance(value, list) else str(value),
            )
            for name, value in (self.shown | self.details).items()
            if value
        )

    @property
    def size_words(self) -> str:
        """ "1 user", "4,906 rows"; "" where nobody knows how many."""
        if self.size is None:
            return ""
        one = {"entries": "entry"}.get(self.unit, self.unit.removesuffix("s"))
        return counted(self.size, one, self.unit).strip()

    after: int | None = None
    steps: tuple[StepView, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class ChangePage(View):
    """items: newest first. next_cursor: pass as `cursor` for the page after, None at the end."""

    items: tuple[ChangeView, ...]
    next_cursor: int | None


class Preview(View):
    """What an action would do now, as a table: the rows of its own page's preview, at most MOST.

    total: rows there are. notes: blockers and warnings, in sentences.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    notes: tuple[str, ...] = ()


#: Rows of a preview; the job's own page has all of them.
MOST = 200


class Now(View):
    """What a waiting request would do now. same: what was asked for; else moved names what is not,
    or error says why it would not begin at all. preview: row by row, None where the request itself
    says all there is."""

    same: bool
    moved: tuple[str, ...] = ()
    error: str = ""
    preview: Preview | None = None


class PolicyView(View):
    """What one action needs in an environment. words: the rule as a sentence's part."""

    environment: str
    action: str
    label: str
    unit: str
    rule: Rule
    words: str
    updated_at: datetime | None = None
    updated_by: str = ""
