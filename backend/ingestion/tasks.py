"""Background work of ingestion: following runs, links, target checks, managed runs, recipes."""

import threading
from collections.abc import Callable
from typing import Any

from backend.core.database import Database
from backend.core.errors import JobError, UpstreamError
from backend.core.log import get_logger, log_unexpected
from backend.ingestion import (
    aws,
    checks,
    held,
    links,
    managed,
    recipe_run,
    reports,
    schedules,
    tracker,
)
from backend.jobs.registry import JobContext, job
from backend.jobs.schedule import every

log = get_logger(__name__)
_sweeping, _reporting = threading.Lock(), threading.Lock()


@every("ingestion.follow", seconds=5)
def follow_runs(database: Database) -> None:
    """Look at runs whose time has come, beside the schedule: a slow AWS must not hold it up."""
    _beside("ingestion-follow", _sweeping, tracker.sweep, database)


@every("ingestion.report", seconds=10)
def report_runs(database: Database) -> None:
    """Tell DataHub of runs, where its connection says so; a slow DataHub holds up nothing."""
    _beside("ingestion-report", _reporting, reports.sweep, database)


def _beside(
    name: str, busy: threading.Lock, work: Callable[[Database], int], database: Database
) -> None:
    if busy.acquire(blocking=False):
        arguments = (name, busy, work, database)
        try:
            threading.Thread(target=_run, args=arguments, name=name, daemon=True).start()
        except BaseException:  # there may be no more of them now; the next tick tries again
            busy.release()
            raise


def _run(
    name: str, busy: threading.Lock, work: Callable[[Database], int], database: Database
) -> None:
    try:
        work(database)
    except Exception as exc:
        # Nobody waits for this thread; the next tick tries again.
        log_unexpected(log, "Work beside the schedule failed.", exc, thread=name)
    finally:
        busy.release()


@job(held.KIND, title="Hold a Lambda call until it ends")
def hold_call(ctx: JobContext, *, run_id: str) -> dict[str, Any]:
    """Call a function and wait for its answer; the run's own record says how it ended."""
    return held.hold(ctx.database, run_id=run_id)


@every("ingestion.schedules", minutes=1)
def start_scheduled(database: Database) -> None:
    """Start recipes and sources whose time has come."""
    schedules.start_due(database)


@job("ingestion.links", title="Links on DataHub pages", resumable=True)
def put_links(
    ctx: JobContext, *, mode: str, environment: str, dataset_urns: list[str] | None = None
) -> dict[str, Any]:
    """Put the "Run ingestion" link on datasets, or remove it."""
    report = links.apply(
        ctx.database,
        ctx.actor,
        mode=links.check_mode(mode),
        environment=environment,
        dataset_urns=dataset_urns or (),
        progress=lambda done, total, urn: ctx.progress(done, total, note=urn),
    )
    for urn, why in report.failed[:50]:
        ctx.log(f"{urn}: {why}")
    return dict(report.document())


@job("ingestion.check", title="Check mapped targets", resumable=True)
def check_targets(ctx: JobContext, *, environment: str) -> dict[str, Any]:
    """Ask AWS whether every mapped target exists."""
    try:
        return dict(
            checks.check_targets(
                ctx.database,
                ctx.actor,
                environment=environment,
                progress=lambda done, total, _name: ctx.progress(done, total),
            )
        )
    except UpstreamError as exc:
        # Jobs are seen by people who may not see AWS names.
        raise JobError(f"The check stopped. {aws.public_sentence(exc)}") from exc


@job("ingestion.managed", title="Run a DataHub ingestion source")
def run_managed(
    ctx: JobContext, *, source_urn: str, environment: str, recipe: str = ""
) -> dict[str, Any]:
    """Run a source that DataHub manages and follow it."""
    return dict(managed.run(ctx, source_urn=source_urn, environment=environment, recipe=recipe))


@job("ingestion.recipe", title="Run a DataHub recipe")
def run_recipe(
    ctx: JobContext,
    *,
    name: str,
    environment: str,
    values: dict[str, str] | None = None,
    sealed: str = "",
) -> dict[str, Any]:
    """Run a local recipe with DataHub's command line."""
    return recipe_run.run(ctx, name=name, environment=environment, values=values, sealed=sealed)
