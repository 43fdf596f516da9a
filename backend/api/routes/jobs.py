"""Background jobs over REST."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import Caller, Reader, Writer
from backend.jobs import service
from backend.jobs.answers import JobAnswer, JobList
from backend.jobs.schemas import State

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    session: Reader,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=service.MAX_PAGE)] = 50,
    cursor: int | None = None,
    status: Annotated[list[State] | None, Query()] = None,
    kind: Annotated[str, Query(max_length=80)] = "",
) -> JobList:
    """Jobs, newest first; `cursor` is the last answer's `next_cursor`."""
    page = service.list_jobs(
        session, caller, limit=limit, before=cursor, states=status or (), kind=kind
    )
    return JobList.model_validate(page)


@router.get("/{job_id}")
def get_job(session: Reader, caller: Caller, job_id: int) -> JobAnswer:
    """One job."""
    return JobAnswer.model_validate(service.get(session, caller, job_id=job_id))


@router.post("/{job_id}/cancel")
def cancel_job(session: Writer, caller: Caller, job_id: int) -> JobAnswer:
    """Ask a job to stop at its next safe point."""
    return JobAnswer.model_validate(service.cancel(session, caller, job_id=job_id))
