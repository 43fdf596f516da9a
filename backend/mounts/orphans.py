"""Orphans: mounted entries with evidence against them, not just old ones.

too_old: nothing happened to it for longer than the limit. host_unseen: the ledger has had no entry
of its host for a week. no_queue, no_consumer: its host's DMS server has no queue, or nobody reads
it. duplicate: the same job holds the same mount twice. deleted_mounted: soft-deleted while mounted.
unknown_outcome: an operation on it was never answered. unreadable: its row holds what is no time
or no number.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.core import access, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput, PortalError
from backend.core.log import mask_text
from backend.core.words import counted
from backend.dms.connect import open_transport
from backend.dms.errors import DMSClientException
from backend.dms.ledger import Ledger
from backend.dms.transport import QueueState, QueueUnknown, Transport, queue_of
from backend.jobs.enqueue import enqueue
from backend.mounts import ledger_repository, query_plan, repository, settings
from backend.mounts.schemas import (
    EMPTY,
    ORPHAN_KINDS,
    Filters,
    MountView,
    OrphanPage,
    OrphanView,
    WatchView,
    orphan,
)
from backend.mounts.settings import DmsSettings

#: Mounted entries one scan looks at.
MAX_SCAN = 50_000
BATCH = 2_000
#: AMQP names are short strings of at most 255 bytes.
LONGEST_QUEUE = 255
HOST_UNSEEN = timedelta(days=7)
MAX_AGE_HOURS = 24 * 365


@dataclass(frozen=True)
class Found:
    """What a scan saw. problem: what could not be looked at, one sentence."""

    orphans: tuple[OrphanView, ...]
    active: int
    unknown: int
    complete: bool
    problem: str


def find_now(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    filters: Filters | None = None,
    reason: str = "",
    cursor: str = "",
    limit: int = 50,
) -> OrphanPage:
    """Gather the evidence now; newest entries first. Raises LedgerNotConfigured and its kin."""
    access.require(actor, Permission.MOUNTS_READ)
    wanted = filters or Filters()
    after = _after(cursor, limit, reason)
    where = settings.find(session, environment)
    known = repository.find_watch(session, where.environment_id)
    hours = known.max_age_hours if known else repository.DEFAULT_MAX_AGE_HOURS
    found = gather(where, hours)
    fitting = [
        item
        for item in found.orphans
        if _fits(item, wanted) and (not reason or reason in item.evidence)
    ]
    fitting.sort(key=lambda item: -item.number)
    rest = [item for item in fitting if not after or item.number < after]
    counts = Counter(kind for item in fitting for kind in item.evidence)
    return OrphanPage(
        items=tuple(rest[:limit]),
        next_cursor=str(rest[limit - 1].number) if len(rest) > limit else None,
        found_at=clock.now(),
        complete=found.complete,
        counts=dict(counts),
        problem=found.problem,
    )


def list_found(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    filters: Filters | None = None,
    reason: str = "",
    cursor: str = "",
    limit: int = 50,
) -> OrphanPage:
    """What the last scan found; newest entries first. Asks no outside system."""
    access.require(actor, Permission.MOUNTS_READ)
    wanted = filters or Filters()
    after = _after(cursor, limit, reason)
    where = settings.find(session, environment)
    known = repository.find_watch(session, where.environment_id)
    rows = repository.list_orphans(
        session,
        where.environment_id,
        host=wanted.host,
        target=wanted.target,
        job=wanted.job,
        reason=reason,
        after=after,
        limit=limit + 1,
    )
    more = len(rows) > limit
    return OrphanPage(
        items=tuple(rows[:limit]),
        next_cursor=str(rows[limit - 1].number) if more else None,
        found_at=known.scanned_at if known else None,
        complete=known.complete if known else True,
        counts=repository.count_reasons(session, where.environment_id),
        problem=known.problem if known else "",
        failing_since=known.failing_since if known else None,
    )


def watch(session: ReadSession, actor: Actor, *, environment: str | None = None) -> WatchView:
    """What is watched in an environment, and what the last scan knew."""
    access.require(actor, Permission.MOUNTS_READ)
    where = settings.find(session, environment)
    row = repository.find_watch(session, where.environment_id)
    if row is not None:
        return repository.watch_view(row)
    hours = repository.DEFAULT_MAX_AGE_HOURS
    return WatchView(
        where.environment_id, where.environment, hours, None, 0, 0, 0, 0, True, "", None
    )


def set_max_age(
    session: WriteSession, actor: Actor, *, environment: str | None = None, hours: int
) -> WatchView:
    """From how many hours on a mount counts as too old. Counts at the next scan."""
    from backend.core import audit

    access.require(actor, Permission.MOUNTS_WRITE)
    if not 1 <= hours <= MAX_AGE_HOURS:
        raise InvalidInput(f"The age must be between 1 and {MAX_AGE_HOURS} hours, not {hours}.")
    where = settings.find(session, environment)
    row = repository.watch(session, where.environment_id, where.environment)
    before, row.max_age_hours = row.max_age_hours, hours
    audit.done(
        session,
        actor,
        "mounts:watch:write",
        where.environment or "DMS settings",
        max_age_hours={"old": before, "new": hours},
    )
    return repository.watch_view(row)


def submit_scan(session: WriteSession, actor: Actor, *, environment: str | None = None) -> int:
    """Queue a scan of one environment; returns the job's id."""
    access.require(actor, Permission.MOUNTS_WRITE)
    where = settings.find(session, environment)
    name = where.environment
    return enqueue(
        session,
        actor,
        "mounts.scan",
        {"environment": name},
        subject=f"mounts of {name or 'the DMS settings'}",
        environment=name,
    )


def scan(database: Database, actor: Actor, *, environment: str | None = None) -> WatchView:
    """Gather the evidence and keep it for the page and the Overview.

    No session is open while the ledger and the broker are asked. A failed scan keeps what the
    last one found and says since when it fails.
    """
    access.require(actor, Permission.MOUNTS_READ)
    with database.read() as session:
        where = settings.find(session, environment)
        known = repository.find_watch(session, where.environment_id)
        hours = known.max_age_hours if known else repository.DEFAULT_MAX_AGE_HOURS
    try:
        found = gather(where, hours)
    except Exception as exc:  # whatever it was: from now on nobody looks, and that must be seen
        said = exc.message if isinstance(exc, PortalError) else f"The scan broke off ({exc!r})."
        with database.write() as session:
            row = repository.watch(session, where.environment_id, where.environment)
            row.problem = mask_text(said)[:500]
            row.failing_since = row.failing_since or clock.now()
        raise
    with database.write() as session:
        row = repository.watch(session, where.environment_id, where.environment)
        repository.replace_orphans(session, where.environment_id, found.orphans)
        row.scanned_at = clock.now()
        row.active, row.orphans = found.active, len(found.orphans)
        row.too_old = sum("too_old" in item.evidence for item in found.orphans)
        row.unknown, row.complete = found.unknown, found.complete
        row.problem, row.failing_since = found.problem[:500], None
        return repository.watch_view(row)


def gather(where: DmsSettings, max_age_hours: int) -> Found:
    """Look at every mounted entry (at most MAX_SCAN) for evidence."""
    ledger = settings.open_ledger(where)
    mounts, complete = _mounted(ledger)
    hosts = sorted({m.host for m in mounts})
    seen = {host: ledger_repository.last_seen(ledger, host) for host in hosts}
    queues, problem = check_queues(where, hosts)
    unknown = ledger_repository.unknown_operations(ledger, 5_000)
    open_pairs = {(op.backup_target_id, op.host): op.operation_id for op in unknown}
    copies = Counter((m.jobid, m.backup_target_id, m.host) for m in mounts)
    evidence = _Evidence(clock.now(), max_age_hours, seen, queues, copies, open_pairs)
    orphans = [orphan(m, said) for m in mounts if (said := evidence.against(m))]
    return Found(tuple(orphans), len(mounts), len(unknown), complete, problem)


def _mounted(ledger: Ledger) -> tuple[list[MountView], bool]:
    found: list[MountView] = []
    after: MountView | None = None
    while len(found) < MAX_SCAN:
        batch = ledger_repository.mounted_batch(ledger, after, BATCH)
        found += batch
        if len(batch) < BATCH:
            return found, True
        after = batch[-1]
    return found[:MAX_SCAN], False


def check_queues(where: DmsSettings, hosts: Sequence[str]) -> tuple[dict[str, QueueState], str]:
    """The hosts' queues, and a word about those that are missing; without a broker none."""
    if not where.rabbitmq_url:
        return {}, "No broker is configured, so queues were not looked at."
    found: dict[str, QueueState] = {}
    unknown: list[str] = []
    try:
        transport = open_transport(where.rabbitmq_url, on_late=lambda _id, _body, _keep: None)
        with closing(transport):
            for host in hosts:
                try:
                    found[host] = _queue_state(transport, host)
                except QueueUnknown as exc:
                    unknown.append(exc.message)
    except DMSClientException as exc:
        return {}, f"Queues were not looked at: {exc.message}"
    if not unknown:
        return found, ""
    return found, f"{counted(len(unknown), 'queue')} could not be looked at: {unknown[0]}"


def _queue_state(transport: Transport, host: str) -> QueueState:
    if len(queue_of(host).encode()) > LONGEST_QUEUE:
        return QueueState(exists=False, consumers=0, depth=0)  # no broker can have such a queue
    return transport.queue_state(host)


@dataclass(frozen=True)
class _Evidence:
    now: datetime
    max_age_hours: int
    seen: dict[str, datetime | None]
    queues: dict[str, QueueState]
    copies: Counter[tuple[int | None, str, str]]
    open_pairs: dict[tuple[str, str], str]

    def against(self, mount: MountView) -> dict[str, str]:
        """Reason → sentence, in the fixed order."""
        found: dict[str, str] = {}
        touched = max(filter(None, (mount.updated_at, mount.created_at)), default=None)
        age = self.now - touched if touched else timedelta()
        if age > timedelta(hours=self.max_age_hours):
            limit = f"the limit is {self.max_age_hours} h"
            found["too_old"] = f"Nothing has happened to it for {_span(age)}; {limit}."
        seen = self.seen.get(mount.host)
        if seen is not None and self.now - seen > HOST_UNSEEN:
            silent = _span(self.now - seen)
            found["host_unseen"] = f"{mount.host or EMPTY} has had no entry for {silent}."
        found |= self._queue(mount.host)
        copies = self.copies[mount.jobid, mount.backup_target_id, mount.host]
        if copies > 1:
            found["duplicate"] = f"Job {mount.jobid} holds this mount {copies} times."
        if mount.deleted:
            found["deleted_mounted"] = "It was soft-deleted while it was mounted."
        operation = self.open_pairs.get((mount.backup_target_id, mount.host))
        if mount.problem:
            found["unreadable"] = f"Its row cannot be read: {mount.problem}"
        if operation:
            found["unknown_outcome"] = f"Operation {operation} was never answered."
        return {kind: found[kind] for kind in ORPHAN_KINDS if kind in found}

    def _queue(self, host: str) -> dict[str, str]:
        state = self.queues.get(host)
        if state is None:
            return {}
        if not state.exists:
            return {"no_queue": f"The queue {queue_of(host)} does not exist."}
        if not state.consumers:
            return {"no_consumer": f"Nobody reads {queue_of(host)}: the DMS server is down."}
        return {}


def _span(value: timedelta) -> str:
    hours = int(value.total_seconds() // 3600)
    return f"{hours // 24} d {hours % 24} h" if hours >= 48 else f"{hours} h"


def _fits(mount: MountView, filters: Filters) -> bool:
    host = "" if filters.host == EMPTY else filters.host
    target = "" if filters.target == EMPTY else filters.target
    return (
        (not filters.host or (host.casefold() in mount.host.casefold() if host else not mount.host))
        and (not filters.target or mount.backup_target_id == target)
        and (filters.job is None or mount.jobid == filters.job)
    )


def _after(cursor: str, limit: int, reason: str) -> int:
    choices.check_limit(limit, 500)
    if reason:
        choices.check("reason", reason, ORPHAN_KINDS)
    return query_plan.read_id(cursor) or 0


def watches(session: ReadSession, actor: Actor) -> list[WatchView]:
    """What the last scan of each environment found, of those that were scanned."""
    access.require(actor, Permission.MOUNTS_READ)
    return [watch for watch in repository.list_watches(session) if watch.scanned_at is not None]
