"""What can go wrong with mounts; the DMS client's own errors become the portal's here."""

import contextlib
from collections.abc import Iterator
from typing import Any

from backend.core.errors import Conflict, InvalidInput, NotFound, PortalError
from backend.dms.errors import (
    DatabaseException,
    DMSClientException,
    RabbitMQException,
    RequestTimeoutException,
    RequestValidationException,
)


class ClientError(PortalError):
    """What the DMS client raised. response: in the shape that mounts and unmounts return."""

    def __init__(self, exc: DMSClientException) -> None:
        super().__init__(exc.message, status=_status(exc))
        self.response: dict[str, Any] = exc.response


def _status(exc: DMSClientException) -> int:
    match exc:
        case RequestValidationException():
            return 422
        case DatabaseException() if exc.unusable:
            return 400
        case DatabaseException() if exc.timed_out or exc.outcome == "unknown":
            return 504
        case DatabaseException() | RabbitMQException():
            return 503
        case RequestTimeoutException():
            return 504
        case _:
            return 502


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The client's exceptions as ClientError; also a decorator."""
    try:
        yield
    except DMSClientException as exc:
        raise ClientError(exc) from exc


class BrokerNotConfigured(ClientError):
    def __init__(self) -> None:
        super().__init__(
            RabbitMQException(
                "No broker is configured: add the environment's rabbitmq connection, or set "
                "DMS_RABBITMQ_URL. Nothing was sent."
            )
        )


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
