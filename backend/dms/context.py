"""`with MountContext(client, request) as mount:` mounted inside, unmounted afterwards, always."""

import copy
import logging
from types import TracebackType
from typing import Any, Protocol, Self

from .errors import DMSClientException
from .operations import Response

log = logging.getLogger(__name__)


class Mounts(Protocol):
    """What a context needs of its client."""

    def mount(self, request: dict[str, Any]) -> Response: ...

    def unmount(self, request: dict[str, Any]) -> Response: ...


class MountContext:
    """Mounts on enter, unmounts on exit, also when the body raised.

    Entering raises DMSClientException when the mount failed. A failing unmount never hides what
    the body did: it is logged, kept as `unmount_response`, and stays mounted in the ledger.
    """

    def __init__(self, client: Mounts, request: dict[str, Any]) -> None:
        self._client = client
        self._request = request
        self._path: str | None = None
        self.mount_response: Response | None = None
        self.unmount_response: Response | None = None

    def __enter__(self) -> Self:
        self.mount_response = self._client.mount(self._request)
        if self.mount_response["status"] != "success":
            raise DMSClientException(
                f"The mount failed: {self.mount_response['error_msg']}",
                outcome=self.mount_response["outcome"],
                operation_id=self.mount_response.get("operation_id"),
            )
        # What is unmounted is what was mounted, whatever the body does with its dict.
        self._request = copy.deepcopy(self._request)
        self._path = self._request["backup_target"]["filesystem_export_mount_path"]
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._path = None
        try:
            self.unmount_response = self._client.unmount(self._request)
        except DMSClientException as failure:
            self.unmount_response = failure.response
        if self.unmount_response["status"] != "success":
            log.error(
                "The unmount after a mount context failed (%s): %s",
                self.unmount_response["outcome"],
                self.unmount_response["error_msg"],
            )

    def get_mount_path(self) -> str:
        """Where the target is mounted; raises DMSClientException outside the `with` block."""
        if self._path is None:
            raise DMSClientException("The target is only mounted inside the with block.")
        return self._path
