"""How a job ends early."""

from backend.core.errors import Conflict, NotFound, PortalError


class JobNotFound(NotFound):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"There is no job {job_id}.")
        self.job_id = job_id


class JobFinished(Conflict):
    def __init__(self, job_id: int, state: str) -> None:
        super().__init__(f"Run {job_id} has already ended ({state}); there is nothing to cancel.")
        self.job_id = job_id


class JobCancelled(PortalError):
    """Somebody asked for the job to stop; raised inside it at the next safe point."""

    def __init__(self) -> None:
        super().__init__("Cancelled on request.")


class JobInterrupted(PortalError):
    """The process that runs the job is stopping; a resumable job is queued again."""

    def __init__(self) -> None:
        super().__init__("The process that ran this job was stopped.")


class JobLost(PortalError):
    """Another process took the job over; this one must not write any more."""

    def __init__(self) -> None:
        super().__init__("Another worker has taken this job over.")
