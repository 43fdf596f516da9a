"""The tokenization room's jobs and periodic work."""

from datetime import timedelta
from typing import Any

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import FAILED, JobContext, job
from backend.jobs.schedule import every
from backend.tokenization import (
    check,
    cleaning,
    comparison,
    copies,
    execution,
    reconcile,
    repository,
    write_back,
)
from backend.tokenization.schemas import CleanUpState, RunState, WriteBackState

MOST_ATTEMPTS = 12
_LONGEST_WAIT_MINUTES = 60


@job("tokenization.run", title="Tokenize a table", resumable=True)
def run(ctx: JobContext, *, run_id: int) -> dict[str, Any]:
    """Resumable in the sense that a second call finds out how the first one ended."""
    document = execution.run(ctx, run_id=run_id)
    if document["status"] in (RunState.FAILED, RunState.INTERRUPTED, RunState.UNKNOWN):
        document[FAILED] = document["details"]
    return document


@job("tokenization.write_back", title="Write a tokenization's outcome to DataHub", resumable=True)
def write(ctx: JobContext, *, run_id: int) -> dict[str, Any]:
    return dict(write_back.attempt(ctx.database, run_id).document())


@job("tokenization.clean_up", title="Clean up after a tokenization", resumable=True)
def clean_up(ctx: JobContext, *, run_id: int) -> dict[str, Any]:
    document = dict(cleaning.attempt(ctx.database, ctx.actor, run_id).document())
    if document["clean_up"] != CleanUpState.SUCCEEDED:
        document[FAILED] = document["clean_up_details"]
    return document


@job("tokenization.check", title="Compare DataHub's tags with the tables", resumable=True)
def compare(ctx: JobContext, *, environment: str | None = None) -> dict[str, Any]:
    return check.run(ctx, environment=environment)


@job("tokenization.copies", title="Preview the copies of tokenized columns", resumable=True)
def preview_copies(
    ctx: JobContext, *, dataset: str, columns: list[str] | None, environment: str
) -> dict[str, Any]:
    return copies.run(ctx, dataset=dataset, columns=columns, environment=environment)


@every("tokenization.compare", hours=1)
def compare_on_schedule(database: Database) -> list[int]:
    """Queue the comparison of each environment that asks for one and whose last is long ago."""
    return comparison.start_due(database)


@every("tokenization.settle", minutes=1)
def reconcile_abandoned(database: Database) -> None:
    """Runs whose end is not on record: the source database is asked again."""
    reconcile.reconcile_abandoned(database)


@every("tokenization.retry_write_back", minutes=1)
def retry_write_back(database: Database) -> list[int]:
    """Queue another try for outcomes that DataHub has not taken yet, each time later."""
    now = clock.now()
    with database.write() as session:
        due = [
            row
            for row in repository.list_unwritten(session, most_attempts=MOST_ATTEMPTS)
            if now - (row.write_back_at or row.finished_at or row.created_at)
            > timedelta(minutes=min(2**row.write_back_attempts, _LONGEST_WAIT_MINUTES))
        ]
        for row in due:
            row.write_back = WriteBackState.PENDING
            row.write_back_at = now
            enqueue(
                session,
                SYSTEM,
                "tokenization.write_back",
                {"run_id": row.id},
                subject=f"run {row.id}",
            )
    return [row.id for row in due]
