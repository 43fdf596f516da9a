"""Say how a run ended: record it once, and find it out when the portal itself does not know.

The source database is the witness: its transaction either committed or did not, and PostgreSQL
remembers which (`txid_status`). Where it cannot say (another server took over, the connection was
moved, a Delta table), the table's content decides: no plain value left means that the run is in it.
"""

from dataclasses import dataclass
from functools import partial

from backend.core import audit, clock, metrics
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import Database, ReadSession, after_commit
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.jobs import service as jobs
from backend.models import TokenizationRun
from backend.tokenization import repository, sources
from backend.tokenization.engines import Engine, engine_for
from backend.tokenization.engines.base import Outcome
from backend.tokenization.schemas import ACTIVE, Method, RunState, RunView, WriteBackState

log = get_logger(__name__)

#: Seconds during which a source that cannot say yet is asked again.
PATIENCE = 20.0
#: Runs that one turn of the schedule reconciles.
MOST_AT_ONCE = 5
_ROLLED_BACK = "it ended before the database committed: everything was rolled back"


@dataclass(frozen=True)
class Ending:
    """How a run ended; the row counts belong to a success."""

    state: RunState
    details: str
    rows_scanned: int | None = None
    rows_updated: int | None = None


def success_words(rows_scanned: int, rows_updated: int) -> str:
    if not rows_updated:
        return f"No value was left to tokenize in {rows_scanned:,} rows; nothing was changed."
    return f"{rows_updated:,} of {rows_scanned:,} rows were changed."


def finish(database: Database, run_id: int, ending: Ending) -> RunView:
    """Record an ending and its audit row; a run that has ended already stays as it is."""
    with database.write() as session:
        row = repository.get_locked(session, run_id)
        if row.state not in ACTIVE:
            return repository.view(row)
        row.state, row.details = ending.state, ending.details
        if ending.state is RunState.UNKNOWN:
            return repository.view(row)
        row.active_key, row.finished_at = None, clock.now()
        if ending.state is RunState.SUCCEEDED:
            row.rows_scanned, row.rows_updated = ending.rows_scanned, ending.rows_updated
        else:
            row.rows_updated = 0
        if ending.state is RunState.CANCELLED:
            row.write_back = WriteBackState.SKIPPED
            row.write_back_details = "The run was cancelled; DataHub stays as it was."
        audit.record(
            session,
            _actor(row),
            Permission.TOKENIZATION_RUN.value,
            subject=row.dataset,
            phase="outcome",
            outcome=ending.state.value,
            details={
                "run_id": row.id,
                "rows_scanned": row.rows_scanned,
                "rows_updated": row.rows_updated,
                "details": ending.details[:500],
            },
        )
        if row.rows_updated:
            count = metrics.TOKENIZED_ROWS.labels(row.engine).inc
            after_commit(session, partial(count, row.rows_updated))
        return repository.view(row)


def reconcile(database: Database, run_id: int, *, patience: float = PATIENCE) -> RunView:
    """Find out how an abandoned run ended and record it; an ended run is returned as it is."""
    row = database.ask(repository.get, run_id)
    if row.state not in ACTIVE:
        return repository.view(row)
    return finish(database, run_id, look_up(database, run_id, patience=patience))


def look_up(
    database: Database, run_id: int, *, waiting: str = "", patience: float = PATIENCE
) -> Ending:
    """Ask the source how the run ended, for up to `patience` seconds.

    waiting: what is known so far, shown while the answer is not.
    """
    with database.read() as session:
        row = repository.get(session, run_id)
        restored = _job_is_of_a_backup(session, row)
    if row.transaction_id is None and not restored:
        return Ending(
            RunState.INTERRUPTED,
            "The portal was stopped before the first change; the table is as it was.",
        )
    try:
        return _asked(database, row, waiting, patience)
    except PortalError as exc:
        return Ending(
            RunState.UNKNOWN,
            f"{waiting} Whether the database committed is not known yet; it is asked again every "
            f"minute. {exc.message}".strip(),
        )


def _asked(database: Database, row: TokenizationRun, waiting: str, patience: float) -> Ending:
    source = database.ask(sources.locate_run, row)
    engine = engine_for(source)
    known = row.transaction_id  # None: of a backup that was made before the first change
    outcome = engine.outcome(known, patience=patience) if known else Outcome.UNKNOWN
    moved = sources.active_key(source) != row.active_key
    if moved and outcome in (Outcome.COMMITTED, Outcome.ABORTED):
        # The connection leads elsewhere now: that server may speak of a transaction of its own.
        outcome = Outcome.UNKNOWN
    if outcome is Outcome.COMMITTED:
        return _committed(row, "The database confirms that the run was committed.")
    if outcome is Outcome.ABORTED:
        return Ending(RunState.INTERRUPTED, f"The run was cut off; {_ROLLED_BACK}.")
    if outcome is Outcome.IN_PROGRESS:
        return Ending(
            RunState.UNKNOWN,
            f"{waiting} The database is still busy with it; it is asked again in a minute.".strip(),
        )
    plain = _left(engine, row)
    more = " or tokens to make anew" if row.method == Method.REKEY else ""
    if plain == 0 and not known:
        sentence = "The table holds tokens only. How many rows this run changed is not known"
        return Ending(RunState.SUCCEEDED, f"{sentence}: the portal's state is that of a backup.")
    if plain == 0:
        return _committed(row, "The table holds tokens only, so the run is in it.")
    if outcome is Outcome.MAY_BE_RUNNING:
        return Ending(
            RunState.UNKNOWN,
            f"{waiting} The change may still be on its way, {plain:,} rows hold plain values{more}"
            "; they are counted again every minute.".strip(),
        )
    return Ending(
        RunState.INTERRUPTED,
        f"The run was cut off; {plain:,} rows hold plain values{more}, so it is not in the table.",
    )


def _left(engine: Engine, row: TokenizationRun) -> int:
    """Values that the run would have made tokens of; of a re-key also those that tokens hold."""
    names = [each["name"] for each in row.columns]
    plain = engine.count_plain(names).rows_plain
    if row.method != Method.REKEY:
        return plain
    return plain + sum(each.rows for each in engine.read_reversible(names).values())


def _committed(row: TokenizationRun, sentence: str) -> Ending:
    scanned, updated = row.rows_scanned or 0, row.rows_updated or 0
    return Ending(
        RunState.SUCCEEDED, f"{sentence} {success_words(scanned, updated)}", scanned, updated
    )


def reconcile_abandoned(database: Database) -> list[int]:
    """Settle every run whose job has ended without saying how the run did; returns their ids."""
    with database.read() as session:
        abandoned = [row.id for row in repository.list_active(session) if _job_ended(session, row)]
    reconciled = []
    for run_id in abandoned[:MOST_AT_ONCE]:
        view = reconcile_one(database, run_id)
        if view.state is not RunState.UNKNOWN:
            reconciled.append(run_id)
            log.warning("Reconciled an abandoned run.", run_id=run_id, state=view.state.value)
    return reconciled


def reconcile_one(database: Database, run_id: int) -> RunView:
    """Settle a run if its job has ended, without waiting for the source; else leave it alone."""
    with database.read() as session:
        row = repository.get(session, run_id)
        if row.state not in ACTIVE or not _job_ended(session, row):
            return repository.view(row)
        restored = _job_is_of_a_backup(session, row)
    if row.state == RunState.QUEUED and not restored:
        return finish(database, run_id, Ending(RunState.CANCELLED, "It never started."))
    return reconcile(database, run_id, patience=0.0)


def _job_ended(session: ReadSession, row: TokenizationRun) -> bool:
    return row.job_id is None or jobs.get(session, SYSTEM, job_id=row.job_id).ended


def _job_is_of_a_backup(session: ReadSession, row: TokenizationRun) -> bool:
    """Whether the run may have gone on after the backup that the state comes from."""
    found = jobs.get(session, SYSTEM, job_id=row.job_id) if row.job_id is not None else None
    return found is not None and found.error == jobs.RESTORED


def _actor(row: TokenizationRun) -> Actor:
    """Whoever asked for the run is named with its outcome, too."""
    # mypy: written from a Literal, read back as str
    return Actor(row.actor_id, row.actor_name, Role.STEWARD, row.actor_kind)  # type: ignore[arg-type]
