"""Run one queued tokenization: the body of the job `tokenization.run`, safe to be called twice.

Short units of work around one long remote transaction: intent is on record before the first
change, the source's transaction id too, and the row counts before COMMIT is sent. So after a
crash at any instant `reconcile` can ask the source how it ended.
"""

import time
from typing import Any

from backend.core import clock
from backend.core.errors import OutcomeUnknown, PortalError
from backend.core.log import get_logger, log_unexpected
from backend.jobs.errors import JobCancelled, JobInterrupted, JobLost
from backend.jobs.registry import JobContext
from backend.models import TokenizationRun
from backend.tokenization import cleaning, reconcile, repository, sources, write_back
from backend.tokenization.engines import engine_for
from backend.tokenization.engines.base import CommitUnknown, Control, RewriteResult
from backend.tokenization.errors import ChangedSinceAsked
from backend.tokenization.reconcile import Ending
from backend.tokenization.schemas import CleanUpState, Method, RunState, RunView
from backend.tokenization.sources import NOT_CONFIGURED, Source
from backend.tokenization.tokens import Scheme, Tokenizer

log = get_logger(__name__)


def run(ctx: JobContext, *, run_id: int) -> dict[str, Any]:
    """Run it, record how it ended, write the proof into DataHub; returns the run's document.

    Called again after a crash it only finds out and records how the first call ended.
    """
    row = _begin(ctx, run_id)
    if row is None:
        view = reconcile.reconcile(ctx.database, run_id)
        view = view if view.state is RunState.UNKNOWN else _written(ctx, run_id)
        return dict(view.document())
    control = _Control(ctx, run_id)
    try:
        ending = _rewrite(ctx, row, control)
    except JobLost:
        # The transaction was rolled back on the way here; whoever took over records that.
        raise
    except (JobCancelled, JobInterrupted) as exc:
        reconcile.finish(ctx.database, run_id, _stopped(exc))
        raise
    view = reconcile.finish(ctx.database, run_id, ending)
    ctx.log(f"Run {run_id}: {view.state.value}. {view.details}")
    view = view if view.state is RunState.UNKNOWN else _written(ctx, run_id)
    return dict(view.document())


def _written(ctx: JobContext, run_id: int) -> RunView:
    """The proof in DataHub, then the clean-up that was asked for with the run."""
    view = write_back.attempt(ctx.database, run_id)
    if view.state is RunState.SUCCEEDED and view.clean_up is CleanUpState.WANTED:
        return cleaning.attempt(ctx.database, ctx.actor, run_id)
    return view


def _begin(ctx: JobContext, run_id: int) -> TokenizationRun | None:
    """Mark the run as running; None when it had been begun before."""
    with ctx.database.write() as session:
        row = repository.get_locked(session, run_id)
        if row.state != RunState.QUEUED:
            return None
        row.state, row.started_at = RunState.RUNNING, clock.now()
        return row


def _rewrite(ctx: JobContext, row: TokenizationRun, control: "_Control") -> Ending:
    """Do it; every way it can end becomes an Ending, except the job's own interruptions."""
    try:
        result = _on_engine(ctx, row, control)
    except (JobLost, JobCancelled, JobInterrupted):
        raise
    except (CommitUnknown, OutcomeUnknown) as exc:
        log.warning("A run's commit has to be looked up.", run_id=row.id, error=exc.message)
        return reconcile.look_up(ctx.database, row.id, waiting=exc.message)
    except PortalError as exc:
        return Ending(RunState.FAILED, exc.message)
    except Exception as exc:
        # A bug; the transaction is rolled back all the same, and the run must not hang.
        reference = log_unexpected(log, "A tokenization run failed unexpectedly.", exc)
        return Ending(
            RunState.FAILED, f"Something went wrong; nothing was changed. Reference {reference}."
        )
    words = reconcile.success_words(result.rows_scanned, result.rows_updated)
    return Ending(
        RunState.SUCCEEDED,
        f"{words} These stay as they are: {result.left_alone}." if result.left_alone else words,
        result.rows_scanned,
        result.rows_updated,
    )


def _on_engine(ctx: JobContext, row: TokenizationRun, control: Control) -> RewriteResult:
    source = ctx.database.ask(sources.locate_run, row)
    if not source.runnable:
        raise PortalError(f"{NOT_CONFIGURED}.")
    tokenizer = _require_unchanged(ctx, row, source)
    engine = engine_for(source)
    return engine.rewrite(repository.choices(row), tokenizer, control, Method(row.method))


def _require_unchanged(ctx: JobContext, row: TokenizationRun, source: Source) -> Tokenizer:
    """The tokenizer, if server, scheme and key are still those that the run was asked with.

    Else the run would rewrite a table that nobody meant, or leave other tokens than its record
    (and DataHub's) says.
    """
    if sources.active_key(source) != row.active_key:
        raise ChangedSinceAsked(f"the {source.engine} connection", source.environment.name)
    if source.scheme != row.scheme:
        raise ChangedSinceAsked("the tokenization scheme", source.environment.name)
    schemes = {choice.name: Scheme(choice.scheme) for choice in repository.choices(row)}
    tokenizer = sources.tokenizer(ctx.database, ctx.actor, source, schemes)
    if tokenizer.fingerprint() != row.key_fingerprint:
        raise ChangedSinceAsked("the tokenization key", source.environment.name)
    return tokenizer


def _stopped(exc: PortalError) -> Ending:
    if isinstance(exc, JobCancelled):
        return Ending(RunState.CANCELLED, "Cancelled on request; nothing was changed.")
    return Ending(
        RunState.INTERRUPTED,
        "The portal was stopped while this ran; the database rolled everything back.",
    )


class _Control:
    """Writes what the engine reports to the run's row and the job's progress."""

    def __init__(self, ctx: JobContext, run_id: int) -> None:
        self._ctx, self._run_id = ctx, run_id
        self._began = time.monotonic()

    def started(self, transaction_id: str) -> None:
        with self._ctx.database.write() as session:
            repository.get_locked(session, self._run_id).transaction_id = transaction_id
        self._ctx.check_cancelled()

    def progress(self, share: float, rows_scanned: int, rows_updated: int) -> None:
        seconds = max(time.monotonic() - self._began, 0.001)
        done = round(share * rows_scanned)
        self._ctx.progress(
            done,
            rows_scanned,
            note=f"{rows_updated:,} rows changed, {done / seconds:,.0f} rows/s",
        )

    def check_cancelled(self) -> None:
        self._ctx.check_cancelled()

    def committing(self, result: RewriteResult) -> None:
        with self._ctx.database.write() as session:
            row = repository.get_locked(session, self._run_id)
            row.rows_scanned, row.rows_updated = result.rows_scanned, result.rows_updated
        # Last chance to notice that another worker has taken the job over.
        self._ctx.check_cancelled()
