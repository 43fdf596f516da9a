"""The data job of a run: those that write the dataset, the one of its latest run selected."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import NotFound, PortalError
from backend.ingestion import data_jobs
from backend.ingestion.data_jobs import DataJobs, DataJobView
from backend.ingestion.schemas import Request
from pages.shared import times
from pages.shell.errors import escape

_NONE = DataJobs((), 0)
_WITHOUT = "None: the dataset's own rule"


def of_dataset(database: Database, actor: Actor, request: Request) -> tuple[DataJobs, str]:
    """The jobs to pick from, and why they are not known. None where the request names its job."""
    if request.job_urn or not request.dataset_urn:
        return _NONE, ""
    try:
        found = data_jobs.list_jobs(
            database, actor, dataset_urn=request.dataset_urn, environment=request.environment
        )
        return found, ""
    except NotFound:
        return _NONE, ""  # no DataHub, or an unknown dataset: the review says so itself
    except PortalError as exc:
        return _NONE, f"The data jobs of this dataset are not known: {exc.message}"


def select(request: Request, jobs: DataJobs) -> Request:
    """The request with the first of the jobs, where it named none."""
    return replace(request, job_urn=jobs.items[0].urn) if jobs.items else request


def draw(request: Request, jobs: DataJobs, note: str, on_change: Callable[[str], None]) -> None:
    """The select box. on_change: gets the chosen job's URN, "" for none."""
    if note:
        st.warning(escape(note), icon=":material/warning:")
    if not jobs.items:
        return
    known = {job.urn: job for job in jobs.items}
    options = [*known, ""]
    # Each review has a box of its own: an earlier choice must not come back.
    key = f"ingestion.job.{request.idempotency_key}"
    st.selectbox(
        f"Data job ({jobs.total:,} write{'s' if jobs.total == 1 else ''} this dataset)",
        options,
        index=options.index(request.job_urn or ""),
        format_func=lambda urn: _label(known[urn]) if urn else _WITHOUT,
        key=key,
        on_change=lambda: on_change(st.session_state[key]),
        help="Sent as jobUrn; a job that names its ARN decides the target.",
    )
    if jobs.total > len(jobs.items):
        st.caption(f"The first {len(jobs.items)} are listed; another is entered by its URN.")


def _label(job: DataJobView) -> str:
    last = f"{job.last_status} {times.relative(job.last_at)}" if job.last_status else "no run yet"
    latest = ", wrote it last" if job.latest else ""
    return f"{job.name} · {job.flow} · {last}{latest}"
