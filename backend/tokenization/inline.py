"""Run a queued run in this process: for the command line and the datahub-actions pipeline.

The job's row is claimed as any worker claims it, so it does not matter who is faster.
"""

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.tokenization import service
from backend.tokenization.schemas import RunView

#: Seconds to wait for another worker that was faster; a run has no time limit of its own.
LONGEST = 24 * 3_600.0


def complete(database: Database, run: RunView, *, timeout: float = LONGEST) -> RunView:
    """Run it here, or wait for whoever does; returns the run as it is then."""
    if run.job_id is None:
        return run
    do(database, run.job_id, timeout=timeout)
    return database.ask(service.get, SYSTEM, run_id=run.id)


def do(database: Database, job_id: int, *, timeout: float = LONGEST) -> None:
    """Do a queued job here, or wait for whoever does."""
    if not runner.run(job_id, database):
        jobs.wait(database, job_id, timeout=timeout)


def wait(database: Database, run: RunView, *, timeout: float) -> RunView:
    """Wait for a worker, at most `timeout` seconds; returns the run as it is then."""
    if run.job_id is not None:
        jobs.wait(database, run.job_id, timeout=timeout)
    return database.ask(service.get, SYSTEM, run_id=run.id)
