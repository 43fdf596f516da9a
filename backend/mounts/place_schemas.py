"""What the services of whole hosts and targets hand out."""

from datetime import datetime
from typing import Literal

from backend.core.views import View
from backend.mounts.schemas import MountView

Side = Literal["host", "target"]


class ReleasePlan(View):
    """What a release of a dead host would do.

    refused: why it may not be done now, one sentence, else "". digest: of the entries; a release
    is asked for with it, and refused when they changed.
    """

    host: str
    evidence: str
    refused: str
    entries: tuple[MountView, ...]
    digest: str


class Released(View):
    """What a release did. reasons: why entries were left as they were, at most 20."""

    host: str
    released: int
    skipped: int
    reasons: tuple[str, ...]


class QueueView(View):
    """What the broker says of a host's queue now. problem: why it does not say, one sentence.

    depth: requests that wait to be read. consumers: DMS servers that read.
    """

    name: str
    exists: bool = False
    consumers: int = 0
    depth: int = 0
    problem: str = ""


class ToVerify(View):
    """A mount that the host's server is asked about. expected: what the ledger says of it."""

    jobid: int
    target: str
    expected: Literal["mounted", "not mounted"]


class VerificationPlan(View):
    """What a verification of a host would ask.

    refused: why nobody could answer now, one sentence, else "". digest: of the entries.
    """

    host: str
    queue: QueueView
    refused: str
    entries: tuple[ToVerify, ...]
    digest: str


class Verification(View):
    """What a verification found. agreed: ledger and host say the same. host_corrected: the host was
    wrong and now is as the ledger says. unsettled: nothing is proven. findings: of the latter two,
    a sentence each, at most 50."""

    host: str
    agreed: int
    host_corrected: int
    unsettled: int
    findings: tuple[str, ...]


class PlaceRow(View):
    """A host or a target in the list of all: mounts active there, of how many others (the targets
    of a host, the hosts of a target), and how many of them look orphaned."""

    name: str
    mounts: int
    others: int
    orphans: int


class PlacePage(View):
    """complete False: counted from as many mounted entries as one count reads."""

    items: tuple[PlaceRow, ...]
    complete: bool
    next_cursor: None = None


class Held(View):
    """How many mounts are active for one of the others."""

    name: str
    mounts: int


class PlaceView(View):
    """A host or a target as a whole.

    mounts: active ones by the ledger; others: them by target (of a host) or by host (of a target).
    longest: the entry held longest. last_seen: of a host, when something was heard of it. unknown:
    operations whose outcome is unknown, up to 100. orphans: of the last scan, by kind of evidence.
    queue: of a host.
    """

    side: Side
    name: str
    mounts: int
    others: tuple[Held, ...]
    complete: bool
    longest: MountView | None
    last_seen: datetime | None
    unknown: int
    orphans: dict[str, int]
    queue: QueueView | None
