"""Clean up after a committed run: an audited step of its own that can be asked for again."""

from backend.core import access, audit
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.errors import InvalidInput, PortalError
from backend.core.log import get_logger
from backend.jobs.enqueue import enqueue
from backend.tokenization import repository, sources
from backend.tokenization.engines import engine_for
from backend.tokenization.schemas import CleanUpState, RunState, RunView

log = get_logger(__name__)
ACTION = "tokenization:run:clean_up"


def start(session: WriteSession, actor: Actor, *, run_id: int) -> RunView:
    """Queue it. Raises RunNotFound, and InvalidInput for a run that has not succeeded."""
    access.require(actor, Permission.TOKENIZATION_RUN)
    row = repository.get_locked(session, run_id)
    if row.state != RunState.SUCCEEDED:
        raise InvalidInput(f"Run {run_id} is {row.state}; only a run that succeeded is cleaned up.")
    row.clean_up, row.clean_up_details = CleanUpState.WANTED.value, None
    enqueue(session, actor, "tokenization.clean_up", {"run_id": run_id}, subject=f"run {run_id}")
    return repository.view(row)


def attempt(database: Database, actor: Actor, run_id: int) -> RunView:
    """Do it once and record how it went; never raises for what the source database does."""
    access.require(actor, Permission.TOKENIZATION_RUN)
    with database.write() as session:
        row = repository.get_locked(session, run_id)
        audit.record(
            session, actor, ACTION, subject=row.dataset, phase="intent", details={"run_id": run_id}
        )
    try:
        source = database.ask(sources.locate_run, row)
        found = engine_for(source).clean_up([c.name for c in repository.choices(row)])
    except PortalError as exc:
        log.warning("A clean-up failed.", run_id=run_id, error=exc.message)
        return _record(database, actor, run_id, CleanUpState.FAILED, exc.message)
    done = f"Done: {'; '.join(found.done)}."
    if found.left:
        left = f"Still there: {'; '.join(found.left)}."
        return _record(database, actor, run_id, CleanUpState.LEFT, f"{left} {done}")
    checked = "Checked: no plain value in the table, its statistics and the views named here."
    return _record(database, actor, run_id, CleanUpState.SUCCEEDED, f"{done} {checked}")


def _record(
    database: Database, actor: Actor, run_id: int, state: CleanUpState, details: str
) -> RunView:
    with database.write() as session:
        row = repository.get_locked(session, run_id)
        row.clean_up, row.clean_up_details = state.value, details
        audit.record(
            session,
            actor,
            ACTION,
            subject=row.dataset,
            phase="outcome",
            outcome=state.value,
            details={"run_id": run_id, "details": details[:500]},
        )
        return repository.view(row)
