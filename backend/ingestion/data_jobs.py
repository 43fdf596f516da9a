"""The data jobs that write a dataset, as DataHub's lineage and runs have them.

DataHub's own button sends the job of the dataset's latest run; here that job stands first and is
the one that the page selects, and every other job that writes the dataset can be picked.
"""

from dataclasses import dataclass
from datetime import datetime

from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.views import document, of_row
from backend.ingestion import run_context
from backend.ingestion.answers import DataJobAnswer, DataJobList
from backend.ingestion.catalog import Catalog

#: DataHub's words for how a run of a job ended, in the portal's.
_OUTCOMES = {
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "SKIPPED": "skipped",
    "UP_FOR_RETRY": "failed",
}


@dataclass(frozen=True)
class DataJobView:
    """latest: the dataset's last run was one of this job. last_status: of the job's last run, ""
    when DataHub has none of it; "unknown" when it says nothing about how that stands."""

    urn: str
    name: str
    flow: str
    orchestrator: str
    latest: bool
    last_status: str
    last_at: datetime | None

    def document(self) -> DataJobAnswer:
        """The job as REST and `--json` print it."""
        return document(DataJobAnswer, self, jobUrn=self.urn, lastStatus=self.last_status or None)


@dataclass(frozen=True)
class DataJobs:
    """items: the one to select first, at most 50. total: of all that DataHub has."""

    items: tuple[DataJobView, ...]
    total: int

    def document(self) -> DataJobList:
        """The list as REST and `--json` print it."""
        return document(DataJobList, self)


def list_jobs(
    database: Database, actor: Actor, *, dataset_urn: str, environment: str | None = None
) -> DataJobs:
    """The data jobs that write a dataset, the one of its latest run first.

    Raises InvalidInput for a malformed URN, NotFound for a dataset that DataHub does not have and
    without a DataHub connection, and DataHub's errors.
    """
    access.require(actor, Permission.INGESTION_READ)
    context = database.ask(run_context.load, environment)
    found = Catalog(context.datahub).client().writers(dataset_urn.strip())
    return DataJobs(
        tuple(
            of_row(
                DataJobView,
                job,
                last_status=_status(job.last_run.result, job.last_run.running)
                if job.last_run
                else "",
                last_at=job.last_run.at if job.last_run else None,
            )
            for job in found.jobs
        ),
        found.total,
    )


def _status(result: str, running: bool) -> str:
    return _OUTCOMES.get(result) or ("running" if running else "unknown")
