"""What can go wrong in the mounts room, besides the DMS client's own errors."""

from backend.core.errors import Conflict, InvalidInput, NotFound


class LedgerNotConfigured(NotFound):
    def __init__(self, environment: str) -> None:
        where = f"The environment {environment} has" if environment else "There is"
        super().__init__(
            f"{where} no mount ledger: add its ledger connection on the Connections page, or set "
            "DMS_DB_URL."
        )


class MountNotFound(NotFound):
    def __init__(self, what: str) -> None:
        super().__init__(f"The ledger has no entry for {what}.")


class OperationNotFound(NotFound):
    def __init__(self, operation_id: str) -> None:
        super().__init__(f"There is no operation {operation_id} in this ledger.")


class StillMounted(Conflict):
    def __init__(self, jobid: int, backup_target_id: str) -> None:
        super().__init__(
            f"Job {jobid} still has {backup_target_id} mounted, or a mount of it is open; unmount "
            "it or re-check the operation first. Nothing was deleted."
        )


class BadCursor(InvalidInput):
    def __init__(self) -> None:
        super().__init__("The cursor is not one of ours; start from the first page.")


class TargetNotFound(NotFound):
    def __init__(self, target_id: str) -> None:
        super().__init__(f"There is no target template {target_id}.")


class RequestGone(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "The request of this job was already used. Look at the operation's outcome before "
            "asking again."
        )
