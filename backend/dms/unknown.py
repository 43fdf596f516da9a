"""Unknown outcomes: replies that came late, and what they settle."""

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from . import requests
from .claims import Busy, Claim
from .errors import DatabaseException, DMSClientException
from .ledger import Ledger
from .operations import Operation, Operations, Overtaken
from .requests import MountRequest, Reply
from .responses import Response, response, told, unreadable
from .transport import Replied, Transport

log = logging.getLogger(__name__)

#: A reply and what tells the broker that it is stored, as `on_late` gets it.
_Late = tuple[str, bytes, Callable[[], None]]

STILL_OPEN = (
    "No answer has come. Send the same request again to settle it: servers answer success for "
    "what is done already."
)
BUSY = "An answer has come, but another operation works on the mount; re-check in a moment."
OVERTAKEN = (
    "An answer came late ({status}), and operation {newer} came after it, so that it does not say "
    "what holds now. Send the request that you need now once more to settle it: servers answer "
    "success for what is done already."
)


def settle(
    ledger: Ledger,
    operations: Operations,
    transport: Transport | None,
    late: "LateReplies",
    operation_id: str,
    *,
    patience: float,
) -> tuple[Response, Operation]:
    """Apply what is known by now; the response, and the operation as it stands afterwards.

    Raises DMSClientException when there is no such operation.
    """
    operation = find(ledger, operations, operation_id)
    if operation.state == "in_flight":
        if not operations.expire(operation_id):
            return response(
                "unknown", error_msg="The operation is still running.", operation=operation_id
            ), operation
        operation = find(ledger, operations, operation_id)
    if operation.state == "unknown" and not operation.reply:
        late.store_left()
        if operation.reply_queue and transport:
            transport.collect(operation.reply_queue, lambda *reply: store(operations, *reply))
        operation = find(ledger, operations, operation_id)
    if operation.state == "unknown":
        reply = requests.parse_reply((operation.reply or "").encode())
        if reply:
            open_still = _apply(operations, operation, reply, patience)
        elif operation.reply:
            open_still = unreadable(operation.action, operation.host)
        else:
            open_still = STILL_OPEN
        if open_still:
            return response("unknown", error_msg=open_still, operation=operation_id), operation
        operation = find(ledger, operations, operation_id)
    return told(operation), operation


def find(ledger: Ledger, operations: Operations, operation_id: str) -> Operation:
    """The operation; raises DMSClientException when there is none."""
    operation = operations.get(operation_id) if ledger.has_operations() else None
    if operation is None:
        raise DMSClientException(f"There is no operation {operation_id} in this ledger.")
    return operation


def store(operations: Operations, correlation_id: str, body: bytes) -> None:
    """Keep a reply with its operation, and with no other."""
    # The record holds its request masked, so the reply is masked by what secrets look like.
    if not operations.store_reply(correlation_id, requests.masked_reply(body)):
        log.warning("A reply to nobody's operation was dropped: %s", correlation_id)


def _apply(operations: Operations, operation: Operation, reply: Reply, patience: float) -> str:
    """Write a late reply into the ledger; otherwise the sentence that says why not."""
    until = time.monotonic() + min(patience, 30.0)
    while True:
        try:
            if not operations.reclaim(operation):
                return ""
            break
        except Overtaken as overtaken:
            return OVERTAKEN.format(status=reply.status, newer=overtaken.newer)
        except Busy:
            if time.monotonic() > until:
                return BUSY
            time.sleep(0.1)
    claim = Claim("send", operation.operation_id, unresolved=True)
    try:
        operations.confirm(_rebuilt(operation), claim, reply, patience=30.0, known=True)
    except DatabaseException as exc:
        if not exc.permanent:
            raise
        refused = f"the ledger refuses the row: {exc.message}"
        operations.finish(operation.operation_id, "unknown", refused, patience=30.0)
        return f"The server answered ({reply.status}), but {refused}"
    return ""


def refused(
    operations: Operations,
    request: MountRequest,
    claim: Claim,
    result: Replied,
    exc: DatabaseException,
) -> DatabaseException:
    """The server acted, and the ledger will never take the row: free the pair and say so."""
    note = f"the server answered, but the ledger refuses the row: {exc.message}"
    reply = requests.parse_reply(result.body)
    said = reply.shown(request.scrub).text() if reply else None
    operations.finish(claim.operation_id, "unknown", note, said=said, patience=30.0)
    result.keep()
    return DatabaseException(
        f"The DMS server on {request.host} answered the {request.action}, but the ledger refuses "
        f"the row: {exc.message} Correct it, then re-check operation {claim.operation_id}.",
        outcome="unknown",
        operation_id=claim.operation_id,
    )


def _rebuilt(operation: Operation) -> MountRequest:
    action: requests.Action = "mount" if operation.action == "mount" else "unmount"
    return MountRequest(
        action=action,
        jobid=operation.jobid,
        backup_target_id=operation.backup_target_id,
        host=operation.host,
        mount_path="",
        wire={},
    )


def close_forgotten(
    transport: Transport | None, late: "LateReplies", ledger: Ledger, process: int
) -> None:
    """What `DMSClient.close` does, for a client that nobody closed: dropped, or the program ends.

    Its reply queue goes, unless an answer is owed to it.
    """
    if os.getpid() == process:  # after a fork the sockets are the parent's
        if transport is not None:
            transport.close(keep_replies=late.owed)
        late.close()
        ledger.close()


class LateReplies:
    """Stores late replies on a thread of its own, so that a slow ledger stops no heartbeat.

    What the ledger does not take is left here, and stays in the broker too, for a re-check.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._waiting: queue.Queue[_Late | None] = queue.Queue()
        self._left: deque[_Late] = deque()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        #: An operation of this client is unknown: its answer may still come.
        self.owed = False

    def put(self, correlation_id: str, body: bytes, keep: Callable[[], None]) -> None:
        """Called by the transport; returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="dms-late", daemon=True)
                self._thread.start()
        self._waiting.put((correlation_id, body, keep))

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._store(item)
            except DMSClientException as exc:
                log.warning("A late reply waits for a re-check: %s", exc.message)
                self._left.append(item)

    def leave(self, correlation_id: str, result: Replied) -> None:
        """A reply that could not be written now, or that nobody waits for any more."""
        self._left.append((correlation_id, result.body, result.keep))

    def store_left(self) -> None:
        """Try again what was left; raises DatabaseException and keeps it when that fails too."""
        for _ in range(len(self._left)):
            try:
                item = self._left.popleft()
            except IndexError:  # another thread's re-check was faster
                return
            try:
                self._store(item)
            except BaseException:
                self._left.append(item)
                raise

    def _store(self, item: "_Late") -> None:
        correlation_id, body, keep = item
        store(self._operations, correlation_id, body)
        keep()

    def close(self) -> None:
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(timeout=10.0)
