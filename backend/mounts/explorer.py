"""The explorer: pages of the ledger, facets, charts, the details of an entry, operations, CSV.

Reading needs `mounts:ledger:read`. Every list is bounded; what is sampled or estimated says so.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar, cast, get_args

from backend.core import access, choices, csv_export
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession
from backend.dms.ledger import Ledger
from backend.dms.schema import State
from backend.mounts import charts as chart_math
from backend.mounts import ledger_repository, paging, query_plan, repository, settings
from backend.mounts.errors import MountNotFound
from backend.mounts.schemas import (
    SORTS,
    Charts,
    Details,
    Facets,
    Filters,
    MountEntries,
    MountPage,
    OperationPage,
    OperationView,
    Sort,
)

T = TypeVar("T")

MAX_PAGE = 500
#: Entries one page looks through when filters have to be checked row by row.
SEARCH_LIMIT = paging.EXAMINE
FACET_SAMPLE = 10_000
CHART_SAMPLE = 20_000
#: Cells of the heat map.
MOST_PAIRS = 400
MAX_EXPORT = 1_000_000
ACTIVE = Filters(mounted=True, deleted=False)


def list_mounts(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    filters: Filters = ACTIVE,
    sort: str = "newest",
    cursor: str = "",
    limit: int = 50,
) -> MountPage:
    """A page of entries. Raises LedgerNotConfigured, ClientError, BadCursor."""
    ledger = _open(session, actor, environment)
    wanted = _sort(sort)
    choices.check_limit(limit, MAX_PAGE)
    filters = ledger_repository.with_hosts(ledger, filters)
    items, following, used = paging.page(ledger, filters, wanted, cursor, limit)
    complete = following is None or len(items) == limit
    return MountPage(items=tuple(items), next_cursor=following, sort=used, complete=complete)


def facets(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    filters: Filters = ACTIVE,
) -> Facets:
    """Counts by host and target, from the newest entries the filters lead to; kept 15 s."""
    ledger = _open(session, actor, environment)
    return _kept((ledger.address, "facets", filters), 15.0, lambda: _facets(ledger, filters))


def charts(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    filters: Filters = ACTIVE,
) -> Charts:
    """Host by target, active over time, and durations, of what the filters find; kept 60 s."""
    ledger = _open(session, actor, environment)
    return _kept((ledger.address, "charts", filters), 60.0, lambda: _charts(ledger, filters))


def status(
    session: ReadSession, actor: Actor, *, environment: str | None = None, job: int, target: str
) -> MountEntries:
    """The job's entries for the target: mounted ones first, then newest first."""
    ledger = _open(session, actor, environment)
    found = [m for m in ledger_repository.of_job(ledger, job, target) if not m.deleted]
    if not found:
        raise MountNotFound(f"job {job} and target {target}")
    found.sort(key=lambda m: not m.mounted)
    return MountEntries(**dict(found[0]), items=tuple(found))


def details(
    session: ReadSession, actor: Actor, *, environment: str | None = None, key: str
) -> Details:
    """Everything known about one entry. Raises MountNotFound."""
    ledger = _open(session, actor, environment)
    mount = ledger_repository.find(ledger, key)
    others = ledger_repository.holders(ledger, mount.backup_target_id, mount.host)
    done = ledger_repository.operations(
        ledger, host=mount.host, target=mount.backup_target_id, job=mount.jobid, limit=50
    )
    subjects = [subject_of(mount.jobid, mount.backup_target_id, host) for host in (mount.host, "")]
    return Details(
        mount=mount,
        others=tuple(m for m in others if m.jobid != mount.jobid),
        operations=tuple(done),
        events=tuple(repository.events_of(session, subjects, limit=50)),
    )


def subject_of(jobid: int | None, target: str, host: str = "") -> str:
    """How the audit log names a mount; without a host, all of the job's mounts of the target."""
    return f"job {jobid}: {target}" + (f" on {host}" if host else "")


def list_operations(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    host: str = "",
    target: str = "",
    job: int | None = None,
    status: str = "",
    cursor: str = "",
    limit: int = 50,
) -> OperationPage:
    """Requests to DMS servers, newest first. Raises UnknownChoice for an unknown status."""
    ledger = _open(session, actor, environment)
    if status:
        choices.check("status", status, get_args(State))
    before = query_plan.read_id(cursor)
    choices.check_limit(limit, MAX_PAGE)
    rows = ledger_repository.operations(
        ledger,
        host=host,
        target=target,
        job=job,
        status=status,
        before=before,
        limit=limit + 1,
    )
    more = len(rows) > limit
    return OperationPage(
        items=tuple(rows[:limit]), next_cursor=str(rows[limit - 1].id) if more else None
    )


def operation(
    session: ReadSession, actor: Actor, *, environment: str | None = None, operation_id: str
) -> OperationView:
    """One operation. Raises OperationNotFound."""
    return ledger_repository.operation(_open(session, actor, environment), operation_id)


# -- export --------------------------------------------------------------------------------------

CSV_COLUMNS = (
    "id",
    "backup_target_id",
    "jobid",
    "host",
    "mounted",
    "deleted",
    "created_at",
    "updated_at",
    "deleted_at",
    "version",
    "key",
    "problem",
)


def export_csv(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    filters: Filters = ACTIVE,
    most: int = MAX_EXPORT,
) -> Iterator[str]:
    """The filtered entries as CSV text, piece by piece, at most `most`; newest first.

    Cells that a spreadsheet would run as a formula are prefixed with an apostrophe. When the limit
    cuts the export, the last line says so.
    """
    ledger = _open(session, actor, environment)
    return _csv(ledger, filters, most)


def _csv(ledger: Ledger, filters: Filters, most: int) -> Iterator[str]:
    yield csv_export.line(CSV_COLUMNS)
    cursor, written = "", 0
    filters = ledger_repository.with_hosts(ledger, filters)
    while written < most:
        size = min(MAX_PAGE, most - written)
        items, following, _sort = paging.page(ledger, filters, "newest", cursor, size)
        if items:
            yield "".join(
                csv_export.line([getattr(item, column) for column in CSV_COLUMNS]) for item in items
            )
        written += len(items)
        if following is None:
            return
        cursor = following
    yield csv_export.line([f"the export was cut after {written} entries; narrow the filters"])


# -- behind --------------------------------------------------------------------------------------


def _open(session: ReadSession, actor: Actor, environment: str | None) -> Ledger:
    access.require(actor, Permission.MOUNTS_READ)
    return settings.open_ledger(settings.find(session, environment))


def _sort(sort: str) -> Sort:
    choices.check("sort", sort, SORTS)
    return cast(Sort, sort)


def _facets(ledger: Ledger, filters: Filters) -> Facets:
    named = ledger_repository.with_hosts(ledger, filters)
    found, seen = ledger_repository.groups(ledger, named, FACET_SAMPLE)
    hosts, targets = Counter[str](), Counter[str]()
    for host, target, count in found:
        if count:
            hosts[host] += count
            targets[target] += count
    matching, exact = hosts.total(), seen < FACET_SAMPLE
    total, estimated = (matching, False) if exact else (None, False)
    if not exact and filters == Filters():
        total, estimated = max(ledger_repository.estimated_size(ledger), matching), True
    most = ledger_repository.MAX_GROUPS
    return Facets(
        tuple(hosts.most_common(most)),
        tuple(targets.most_common(most)),
        seen,
        exact,
        matching,
        total,
        estimated,
    )


def _charts(ledger: Ledger, filters: Filters) -> Charts:
    """Over time both those still mounted and those that ended count, whatever the filters want."""
    named = ledger_repository.with_hosts(ledger, filters)
    pairs, _seen = ledger_repository.groups(ledger, named, FACET_SAMPLE)
    ever = replace(named, mounted=None, deleted=None)
    rows = ledger_repository.newest(ledger, ever, CHART_SAMPLE)
    mounted = replace(named, mounted=True, deleted=False)
    now, _seen = ledger_repository.groups(ledger, mounted, FACET_SAMPLE)
    most = sorted(pairs, key=lambda pair: -pair[2])[:MOST_PAIRS]
    return Charts(
        pairs=tuple(pair for pair in most if pair[2]),
        active=chart_math.active_over_time(rows, sum(count for *_pair, count in now)),
        durations=chart_math.durations(rows),
        sampled=len(rows),
        complete=len(rows) < CHART_SAMPLE,
    )


_cache: dict[object, tuple[float, object]] = {}
_cache_lock = threading.Lock()


def _kept(key: object, seconds: float, make: Callable[[], T]) -> T:
    """`make()`, or what it gave in the last `seconds`; per process, without any person's data."""
    now = time.monotonic()
    with _cache_lock:
        kept = _cache
        found = kept.get(key)
        if found is not None and now - found[0] < seconds:
            # mypy: a cache of values of any type; the key decides which
            return found[1]  # type: ignore[return-value]
    value = make()
    with _cache_lock:
        if len(kept) > 500:
            kept.clear()
        kept[key] = (now, value)
    return value


def forget_counts() -> None:
    """Counts are stale, those that are being made, too: somebody just mounted or unmounted here."""
    global _cache
    with _cache_lock:
        _cache = {}
