"""Background jobs over REST."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import Caller, Reader, Writer
from backend.jobs import service
from backend.jobs.schemas import JobPage, JobView

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    session: Reader,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=service.MAX_PAGE)] = 50,
    before: int | None = None,
    state: Annotated[list[str] | None, Query()] = None,
    kind: str = "",
) -> JobPage:
    """Jobs, newest first."""
    return service.list_jobs(
        session, caller, limit=limit, before=before, states=state or (), kind=kind
    )


@router.get("/{job_id}")
def get_job(session: Reader, caller: Caller, job_id: int) -> JobView:
    """One job."""
    return service.get(session, caller, job_id=job_id)


@router.post("/{job_id}/cancel")
def cancel_job(session: Writer, caller: Caller, job_id: int) -> JobView:
    """Ask a job to stop at its next safe point."""
    return service.cancel(session, caller, job_id=job_id)
