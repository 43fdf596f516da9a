"""What pages, REST and the schedule ask of a portal's database, for `benchmarks.history`."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

#: For filters that find nothing.
NONE = "such a thing never was"
#: Tasks that start a thread or a job of their own; what they read is above.
_OUTSIDE = (
    "ingestion.follow",
    "connections.client_info",
    "accounts.check_state",
    "mounts.orphans",
)
Call = Callable[[Any], object]


def everything() -> Iterator[tuple[str, Call]]:
    """What pages, REST and the schedule do, by name; each is given the database."""
    yield from _of_the_overview()
    yield from _of_the_audit_log()
    yield from _of_jobs()
    yield from _of_ingestion()
    yield from _of_the_rest()
    yield from _ticks()


def _reads(function: Callable[..., object], **arguments: Any) -> Call:
    from backend.core.access import SYSTEM

    return lambda database: _with(database, function, SYSTEM, **arguments)


def _of_the_overview() -> Iterator[tuple[str, Call]]:
    from backend.changes import service as changes
    from backend.connections import health
    from backend.core import alerts
    from backend.ingestion import service as ingestion
    from backend.jobs import service as jobs
    from backend.user_sync import service as user_sync

    yield "overview: alerts", _reads(alerts.collect)
    yield "overview: health", _reads(health.overview)
    yield "overview: jobs by kind", _reads(jobs.count_by_kind)
    yield "overview: ingestion", _reads(ingestion.recent, days=14)
    yield "overview: user sync", _reads(user_sync.recent, days=14)
    yield "overview: requests", _reads(changes.recent, days=14)
    yield "every page: own work that is open", _reads(jobs.is_at_work)


def _of_the_audit_log() -> Iterator[tuple[str, Call]]:
    from backend.accounts import audit_log
    from backend.accounts.audit_log import AuditFilter
    from backend.core import clock

    yield "audit", _reads(audit_log.list_events, filters=AuditFilter())
    for title, found in {
        "by a person who did nothing": AuditFilter(actor=NONE),
        "by an action that never was": AuditFilter(action="mounts:target:never"),
        "by an area": AuditFilter(action="accounts:"),
        "by an outcome that never was": AuditFilter(outcome="not_delivered"),
        "by a rare outcome": AuditFilter(outcome="refused"),
        "by a subject without a hit": AuditFilter(subject=NONE),
        "by person and outcome without a hit": AuditFilter(actor="admin", outcome="refused"),
        "of a week": AuditFilter(since=clock.now() - timedelta(days=7)),
    }.items():
        yield f"audit {title}", _reads(audit_log.list_events, filters=found)


def _of_jobs() -> Iterator[tuple[str, Call]]:
    from backend.jobs import service as jobs

    yield "runs", _reads(jobs.list_jobs)
    yield "runs per day", _reads(jobs.count_by_day)
    yield "runs by a kind that never was", _reads(jobs.list_jobs, kind="accounts")
    yield "runs by an area", _reads(jobs.list_jobs, kind="mounts")
    yield "runs by a person who did nothing", _reads(jobs.list_jobs, actor_name=NONE)
    yield "runs that are open", _reads(jobs.list_jobs, states=("queued", "running"))
    both = {"kind": "mounts", "states": ("failed",)}
    yield "runs by kind and state without a hit", _reads(jobs.list_jobs, **both)


def _of_ingestion() -> Iterator[tuple[str, Call]]:
    from backend.ingestion import datasets, service
    from backend.ingestion.schemas import RunFilter

    for title, wanted in {
        "": RunFilter(),
        "by a status without a hit": RunFilter(statuses=("unknown",)),
        "by environment and rare status": RunFilter(environment="prod", statuses=("failed",)),
        "by a person who did nothing": RunFilter(actor_name=NONE),
        "by a job": RunFilter(job_urn=NONE),
        "by a dataset": RunFilter(dataset_urn=NONE),
    }.items():
        yield f"ingestion runs {title}".strip(), _reads(service.list_runs, wanted=wanted)
    yield "ingestion chart", _reads(service.recent, wanted=RunFilter(environment="prod"))
    yield "ingestion datasets", _reads(datasets.list_datasets, environment="prod")


def _of_the_rest() -> Iterator[tuple[str, Call]]:
    from backend.accounts import api_tokens
    from backend.accounts import service as accounts
    from backend.changes import service as changes
    from backend.tokenization import comparison
    from backend.tokenization import service as tokenization
    from backend.tokenization.schemas import RunFilters
    from backend.user_sync import service as user_sync

    yield "tokenization runs", _reads(tokenization.list_runs)
    for title, filters in {
        "a text without a hit": RunFilters(text=NONE),
        "a state without a hit": RunFilters(state="unknown"),
        "a trigger without a hit": RunFilters(trigger="watch"),
    }.items():
        yield f"tokenization by {title}", _reads(tokenization.list_runs, filters=filters)
    yield "tokenization compare page", _reads(comparison.latest, environment="prod")
    yield "accounts", _reads(accounts.list_accounts, limit=50)
    yield "accounts by a name without a hit", _reads(accounts.list_accounts, part=NONE)
    yield "tokens", _reads(api_tokens.list_tokens)
    yield "user sync runs", _reads(user_sync.list_runs)
    yield "user sync plans", _reads(user_sync.list_plans, environment="prod")
    yield "changes", _reads(changes.list_changes)
    yield "changes to approve", _reads(changes.list_changes, which="to_approve")
    yield "changes by a text without a hit", _reads(changes.list_changes, text=NONE)
    yield "changes of somebody who never asked", _reads(changes.list_changes, which="mine")


def _ticks() -> Iterator[tuple[str, Call]]:
    from backend.core import clock
    from backend.ingestion import repository
    from backend.jobs import registry, schedule

    yield (
        "tick ingestion: due runs",
        lambda database: _with(database, repository.due_runs, clock.now(), 50),
    )
    registry.load_all()
    for name, task in sorted(schedule._tasks.items()):
        if name not in _OUTSIDE:
            yield f"tick {name}", task.function


def _with(database: Any, function: Callable[..., object], *arguments: Any, **named: Any) -> object:
    with database.read() as session:
        return function(session, *arguments, **named)
