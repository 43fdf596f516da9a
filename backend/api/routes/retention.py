"""How long rows are kept, and the clean-up on request."""

from fastapi import APIRouter

from backend.api.deps import Caller, Reader, Writer
from backend.jobs import retention, service
from backend.jobs.answers import JobAnswer, RetentionList

router = APIRouter(prefix="/retention", tags=["retention"])


@router.get("")
def show(session: Reader, caller: Caller) -> RetentionList:
    """Each table's rule, and how many rows would leave now."""
    return retention.show(session, caller)


@router.post("/run", status_code=202)
def run(session: Writer, caller: Caller) -> JobAnswer:
    """Start the job that removes what was kept long enough."""
    job_id = retention.start(session, caller)
    return JobAnswer.model_validate(service.get(session, caller, job_id=job_id))
