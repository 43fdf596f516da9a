"""The client: one object, safe from many threads, for mounts, unmounts and the ledger."""

import logging
import os
import socket
import time
import uuid
import weakref
from collections.abc import Callable
from typing import Any, Self

from . import config, recheck, requests
from .connect import open_transport
from .context import MountContext
from .entries import LedgerEntry
from .errors import (
    DatabaseException,
    DMSClientException,
    RabbitMQException,
    RequestTimeoutException,
    RequestValidationException,
)
from .late import LateReplies, close, drop
from .ledger import MAX_ACTIVE, Ledger
from .operations import Claim, LeaseLost, Operations, Response, response
from .recheck import unreadable, verified
from .records import Busy
from .requests import MountRequest
from .schema import Operation
from .transport import Closed, NotDelivered, PendingCall, Replied, Result, Transport

__all__ = [
    "DMSClient",
    "DMSClientException",
    "DatabaseException",
    "LedgerEntry",
    "MountContext",
    "RabbitMQException",
    "RequestTimeoutException",
    "RequestValidationException",
]

log = logging.getLogger(__name__)
DEFAULT_LEASE = 30.0


class DMSClient:
    """Mounts through DMS servers, and the ledger of it.

    db_url: SQLAlchemy URL of the ledger. rabbitmq_url: amqp://, amqps:// or rabbit://, one broker
    or several (`brokers` says how). timeout: seconds to wait for a server. What is not given comes
    from the environment, then from ~/.trilio-dms/client.conf. Without a broker the ledger can
    still be read.
    lease: seconds after which another client may take over from one that vanished.

    Raises DMSClientException for wrong settings, DatabaseException when no ledger is configured or
    it cannot be reached, RabbitMQException when the broker cannot be reached.

    One client serves many threads, but not a process forked from its own: there every call raises
    DMSClientException, and the parent's client stays as it was.
    """

    def __init__(
        self,
        db_url: str | None = None,
        rabbitmq_url: str | None = None,
        timeout: float | None = None,
        *,
        lease: float = DEFAULT_LEASE,
    ) -> None:
        self.config = config.load(db_url=db_url, rabbitmq_url=rabbitmq_url, timeout=timeout)
        if not self.config.db_url:
            raise DatabaseException(
                "No mount ledger is configured: pass db_url, set DMS_DB_URL, or put db_url into "
                f"the [client] section of ~/{config.CONFIG_FILE}."
            )
        logging.getLogger(__package__).setLevel(self.config.log_level)
        self.ledger = Ledger(self.config.db_url)
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.operations = Operations(self.ledger, owner=owner, lease=lease)
        self._late = LateReplies(self.operations.store)
        self._transport: Transport | None = None
        self._process = os.getpid()
        if self.config.rabbitmq_url:
            try:
                self._transport = open_transport(
                    self.config.rabbitmq_url, on_late=self._late.put, tls=self.config.tls
                )
            except BaseException:
                self.ledger.close()
                raise
        # Nobody may call close(), and a durable queue would be left each time.
        self._finalizer = weakref.finalize(
            self, drop, self._transport, self._late, self.ledger, self._process
        )

    # -- mounts ---------------------------------------------------------------------------------

    def mount(self, request: dict[str, Any], *, actor: str | None = None) -> Response:
        """Mount the target on the host for the job.

        Returns {"status": "success" | "error", "error_msg", "success_msg", "outcome",
        "operation_id"}. outcome: "replied" (the server answered), "shared" (mounted already for
        another job or this one, nothing was sent), "not_delivered" (surely not carried out),
        "unknown" (an unreadable answer). Raises RequestValidationException (nothing sent, ledger
        untouched), RequestTimeoutException (outcome unknown; re-check the operation),
        DatabaseException, RabbitMQException. actor: who asked, kept with the operation.
        """
        return self._run(request, "mount", actor)

    def unmount(self, request: dict[str, Any], *, actor: str | None = None) -> Response:
        """Give up the job's mount; only the last job on the target and host sends a message.

        Returns and raises as `mount`; "shared" means that other jobs keep it mounted.
        """
        return self._run(request, "unmount", actor)

    def recheck(
        self,
        operation_id: str,
        request: dict[str, Any] | None = None,
        *,
        actor: str | None = None,
    ) -> Response:
        """Find out what became of an operation whose outcome is unknown.

        First looks for a reply that came late (also one left in a dead client's reply queue) and
        applies it. Without one, and with `request` (the original one, its secrets included), the
        same action is sent again: servers answer success for what is done already. Returns and
        raises as `mount`; DMSClientException when there is no such operation.
        """
        self._refuse_use()
        answer, operation = recheck.settle(
            self.operations, operation_id, self._collect, patience=self.config.timeout
        )
        if operation.state != "unknown" or request is None:
            return answer
        action: requests.Action = "mount" if operation.action == "mount" else "unmount"
        again = requests.parse(request, action, keystone_token=self.config.keystone_token)
        same = (again.backup_target_id, again.host, again.jobid)
        if same != (operation.backup_target_id, operation.host, operation.jobid):
            raise RequestValidationException(
                [f"this request is not the one of operation {operation_id}"]
            )
        return self._run(request, action, actor)

    def _collect(self, operation: Operation) -> None:
        self._late.store_left()
        if operation.reply_queue and self._transport:
            self._transport.collect(operation.reply_queue, self.operations.store)

    def verify(self, request: dict[str, Any], *, actor: str | None = None) -> Response:
        """Ask the server whether the job's entry is true, and make it so: to mount what the ledger
        says is mounted, to unmount what nobody holds by the ledger.

        Returns as `mount`, with "verdict" ("agreed", "host_corrected": the host was
        wrong and now is as the ledger says, "unsettled") and "finding", a sentence.
        """
        asked = requests.parse(request, "mount", keystone_token=self.config.keystone_token)
        held = self.get_active_mounts(asked.host, asked.backup_target_id)
        mine = any(entry.jobid == asked.jobid for entry in held)
        action: requests.Action = "mount" if mine else "unmount"
        return verified(self._run(request, action, actor, ask=True), action)

    # -- the ledger -----------------------------------------------------------------------------

    def get_mount_status(self, job_id: int, backup_target_id: str) -> LedgerEntry | None:
        """The job's entry for the target: the mounted one, else the newest; None without any."""
        self._refuse_use()
        return self.ledger.status(job_id, backup_target_id)

    def get_active_mounts(
        self,
        host: str | None = None,
        backup_target_id: str | None = None,
        *,
        limit: int = MAX_ACTIVE,
    ) -> list[LedgerEntry]:
        """Mounted entries, oldest first, at most `limit`."""
        self._refuse_use()
        return self.ledger.active(host, backup_target_id, limit)

    def get_ledger_history(self, backup_target_id: str, limit: int = 100) -> list[LedgerEntry]:
        """Entries of a target, newest first, deleted ones included."""
        self._refuse_use()
        return self.ledger.history(backup_target_id, limit)

    def soft_delete_entry(self, job_id: int, backup_target_id: str) -> bool:
        """Mark the job's entries of the target deleted.

        False when there is none, one is still mounted, or a mount of it is open or unknown.
        """
        self._refuse_use()
        return self.ledger.soft_delete(job_id, backup_target_id)

    def close(self) -> None:
        """Close the connections; calls of other threads end as unknown, and later ones raise
        DMSClientException. A second time it does nothing.

        Replies to them, and to unknown operations, stay collectable for a day.
        """
        self._transport = None
        if (left := self._finalizer.detach()) is not None:  # else it is closed
            close(*left[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def _refuse_use(self) -> None:
        """Two processes on the same sockets would read each other's answers; and what was closed
        would open connections that nobody closes."""
        if self._forked():
            raise DMSClientException(
                "This DMS client belongs to the process that made it, before a fork. Make a new "
                "DMSClient in this process; nothing was sent."
            )
        if not self._finalizer.alive:
            raise DMSClientException("This DMS client is closed. Make a new DMSClient.")

    @property
    def transport(self) -> Transport:
        """The open transport; raises RabbitMQException without one."""
        if self._transport is None:
            raise RabbitMQException(
                "No broker is configured: pass rabbitmq_url or set DMS_RABBITMQ_URL."
            )
        return self._transport

    def _run(
        self, document: Any, action: requests.Action, actor: str | None, *, ask: bool = False
    ) -> Response:
        self._refuse_use()
        request = requests.parse(document, action, keystone_token=self.config.keystone_token)
        transport = self.transport
        self.ledger.ensure_operations()
        claim = self._claim(request, transport, actor, ask)
        if claim is None:
            said = f"Another operation on {request.backup_target_id} at {request.host} still ran"
            said += f" after {self.config.timeout:g} s; nothing was sent."
            return response("not_delivered", error_msg=said)
        if claim.decision == "nothing":
            return response("not_delivered", error_msg=f"{claim.said}; nothing was sent.")
        if claim.decision == "shared":
            return response("shared", success_msg=claim.said, operation=claim.operation_id)
        return self._send(request, claim, transport)

    def _claim(
        self, request: MountRequest, transport: Transport, actor: str | None, ask: bool
    ) -> Claim | None:
        """Wait for the pair, at most the timeout; None when it stayed busy."""
        until, pause = time.monotonic() + self.config.timeout, 0.01
        while True:
            try:
                queue = transport.reply_queue
                return self.operations.claim(request, reply_queue=queue, actor=actor, ask=ask)
            except Busy:
                pair = (request.backup_target_id, request.host)
                if self.operations.take_over_expired(*pair):
                    continue
            if time.monotonic() + pause > until:
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def _send(self, request: MountRequest, claim: Claim, transport: Transport) -> Response:
        operation_id = claim.operation_id
        try:
            call = transport.send(
                request.host,
                request.body,
                correlation_id=operation_id,
                expires=self.config.timeout,
            )
        except RabbitMQException as exc:
            self.operations.finish(operation_id, "not_delivered", exc.message)
            raise RabbitMQException(exc.message, operation_id=operation_id) from exc
        try:
            result = self._await(operation_id, call.wait) or transport.abandon(call)
        except BaseException:  # Ctrl-C, mostly: the server works on
            self._interrupted(call, transport)
            raise
        if isinstance(result, Replied):
            return self._replied(request, claim, result)
        if isinstance(result, NotDelivered):
            self.operations.finish(operation_id, "not_delivered", result.reason)
            said = f"Nothing was sent: {result.reason}."
            return response("not_delivered", error_msg=said, operation=operation_id)
        what = f"gave no answer within {self.config.timeout:g} s"
        if call.ahead:
            what += f" ({requests.counted(call.ahead, 'request')} waited before this one)"
        if call.held_up:
            what += f"; {call.held_up}"
        if isinstance(result, Closed):
            what = "had not answered when the client was closed"
        raise self._unanswered(request, operation_id, what)

    def _await(self, operation_id: str, wait: Callable[[float], Result | None]) -> Result | None:
        """Wait for the result in slices, holding the pair meanwhile."""
        until = time.monotonic() + self.config.timeout
        while (left := until - time.monotonic()) > 0:
            result = wait(min(left, self.operations.records.lease / 3))
            if result is not None:
                return result
            if until - time.monotonic() > 0:
                try:
                    self.operations.renew(operation_id)
                except DatabaseException as exc:
                    log.warning("The lease could not be renewed: %s", exc.message)
        return None

    def _interrupted(self, call: PendingCall, transport: Transport) -> None:
        """Nobody waits any more; the answer is kept for a re-check, as a late one is."""
        self._late.owed = True
        result = transport.abandon(call)
        if isinstance(result, Replied):
            self._late.leave(call.correlation_id, result)

    def _unanswered(
        self, request: MountRequest, operation_id: str, what: str
    ) -> RequestTimeoutException:
        self._late.owed = True
        note = f"the server {what}"
        try:
            self.operations.finish(operation_id, "unknown", note)
        except DatabaseException as exc:
            log.warning("An unknown outcome could not be written: %s", exc.message)
        return RequestTimeoutException(
            f"The request timed out: the DMS server on {request.host} {what}. "
            f"Whether the {request.action} happened is unknown; "
            f"re-check operation {operation_id}.",
            operation_id=operation_id,
        )

    def _replied(self, request: MountRequest, claim: Claim, result: Replied) -> Response:
        try:
            return self._written(request, claim, result)
        except DatabaseException as exc:
            if exc.permanent:
                raise self._refused(request, claim, result, exc) from exc
            self._late.owed = True
            self._late.leave(claim.operation_id, result)
            raise DatabaseException(
                f"The server answered, but the ledger could not be written: {exc.message} "
                f"Re-check operation {claim.operation_id}.",
                outcome="unknown",
                operation_id=claim.operation_id,
            ) from exc

    def _refused(
        self, request: MountRequest, claim: Claim, result: Replied, exc: DatabaseException
    ) -> DatabaseException:
        """The server acted, and the ledger will never take the row: free the pair and say so."""
        note = f"the server answered, but the ledger refuses the row: {exc.message}"
        reply = requests.parse_reply(result.body)
        said = reply.shown(request.scrub).text() if reply else None
        self.operations.finish(claim.operation_id, "unknown", note, said=said, patience=30.0)
        result.keep()
        return DatabaseException(
            f"The DMS server on {request.host} answered the {request.action}, but the ledger "
            f"refuses the row: {exc.message} Correct it, then re-check operation "
            f"{claim.operation_id}.",
            outcome="unknown",
            operation_id=claim.operation_id,
        )

    def _written(self, request: MountRequest, claim: Claim, result: Replied) -> Response:
        reply = requests.parse_reply(result.body)
        if reply is None:
            return self._unreadable(request, claim, result)
        reply = reply.shown(request.scrub)
        try:
            patience = max(self.operations.records.lease, 30.0)
            self.operations.confirm(request, claim, reply, patience=patience)
        except LeaseLost:
            result.keep()
            return self.recheck(claim.operation_id)
        result.keep()
        return response(
            "replied",
            status=reply.status,
            error_msg=reply.error_msg,
            success_msg=reply.success_msg,
            operation=claim.operation_id,
        )

    def _unreadable(self, request: MountRequest, claim: Claim, result: Replied) -> Response:
        said = requests.unreadable_reply(result.body, request.scrub)
        note = "the server's answer could not be read"
        self.operations.finish(claim.operation_id, "unknown", note, said=said, patience=30.0)
        result.keep()
        what = unreadable(request.action, request.host)
        return response("unknown", error_msg=what, operation=claim.operation_id)
