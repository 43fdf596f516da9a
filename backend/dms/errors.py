"""What the DMS client raises.

DMSClientException                 base; also: wrong settings, a failed mount in MountContext
├ RequestValidationException       the request is malformed; every problem at once, nothing was sent
├ RequestTimeoutException          sent, and no answer in time: the outcome is unknown
├ DatabaseException                no ledger is configured, or it cannot be reached or used
└ RabbitMQException                the broker cannot be reached

`outcome` says what became of the request: "not_delivered" (surely not carried out) or "unknown"
(it may have been). `operation_id` names the record to re-check. `response` is the same as a dict.
"""

from collections.abc import Sequence
from typing import Any


class DMSClientException(Exception):
    """Base of every error of the library. message: one sentence for a person."""

    def __init__(
        self, message: str, *, outcome: str = "not_delivered", operation_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.outcome = outcome
        self.operation_id = operation_id

    @property
    def response(self) -> dict[str, Any]:
        """The same, in the shape that `mount` and `unmount` return."""
        return {
            "status": "error",
            "error_msg": self.message,
            "success_msg": None,
            "outcome": self.outcome,
            "operation_id": self.operation_id,
        }


class RequestValidationException(DMSClientException):
    """problems: one sentence for each missing or wrong field."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("The request was not sent: " + "; ".join(self.problems) + ".")


class RequestTimeoutException(DMSClientException):
    """The request was sent and nobody answered in time."""

    def __init__(self, message: str, *, operation_id: str | None = None) -> None:
        super().__init__(message, outcome="unknown", operation_id=operation_id)


class DatabaseException(DMSClientException):
    """The ledger's database.

    permanent: waiting changes nothing, the row or a right is at fault. unusable: a value of the
    caller's is at fault. timed_out: it did not answer in time.
    """

    permanent = False
    unusable = False
    timed_out = False


class RabbitMQException(DMSClientException):
    """The broker."""
