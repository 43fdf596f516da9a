"""Runs that lost their process: nobody works on them and no job will."""

from backend.core.access import SYSTEM
from backend.core.database import Database, ReadSession, Turns, WriteSession, database_now
from backend.core.log import get_logger
from backend.jobs import service as jobs
from backend.models import SyncRun
from backend.user_sync import applying, repository, row_repository, run_repository
from backend.user_sync.errors import RunActive
from backend.user_sync.schemas import ENDED

log = get_logger(__name__)

#: Items of one transaction, by their position in the plan.
_ITEMS = 5_000

DIED = "The process that worked on it ended before the run did; the run can be continued."


def abandoned(session: ReadSession, run: SyncRun) -> bool:
    """Whether an open run has lost its process. A job that is still open takes it up again."""
    return (
        run.state not in ENDED
        and run_repository.unheard(run, database_now(session))
        and not jobs.is_open(session, SYSTEM, job_id=run.job_id)
    )


def forget_people(database: Database, run: SyncRun) -> None:
    """What belongs to a run that goes. One that was cut off here is gone through again; nobody
    takes it back meanwhile (`reverting`: RevertTooOld)."""
    row_repository.drop_rows(database, run.plan_id)
    turns = Turns(database)
    for start in range(0, run.total, _ITEMS):
        with turns.write() as session:
            run_repository.drop_items(session, run.id, start, start + _ITEMS)
    with turns.write() as session:
        run_repository.drop_items(session, run.id, 0, None)
        repository.forget(session, run.plan_id)


def at_rest(session: WriteSession, run_id: int) -> SyncRun:
    """The run, locked, once nobody works on it; an abandoned one is stopped.

    Raises RunNotFound, RunActive.
    """
    run = run_repository.get_run(session, run_id, lock=True)
    if abandoned(session, run):
        applying.close(session, run, "stopped", DIED)
    if run.state not in ENDED:
        raise RunActive(run_id)
    return run


def stop_abandoned(database: Database) -> None:
    """Stop every abandoned run, so that the Overview names it and it can be continued."""
    with database.read() as session:
        runs, now = run_repository.list_open(session), database_now(session)
        found = [run.id for run in runs if abandoned(session, run)]
        ahead = [run.id for run in runs if run_repository.heard_ahead(run, now)]
    for run_id in ahead:  # counts from now: a living process is heard of again, a dead one is not
        with database.write() as session:
            run = run_repository.get_run(session, run_id, lock=True)
            if run_repository.heard_ahead(run, now):
                run.heartbeat_at = now
    for run_id in found:
        with database.write() as session:
            run = run_repository.get_run(session, run_id, lock=True)
            if abandoned(session, run):
                applying.close(session, run, "stopped", DIED)
                log.warning("Stopped a run that lost its process.", run_id=run_id)
