"""Operations: the lock of a (target, host), the memory that survives a crash, and what came of it.

An operation is one row of `dms_operation`. While it runs, `pair_lock` holds the hash of its target
and host under a unique index, so the ledger's own database lets only one client anywhere work on
that pair; no connection and no transaction stays open meanwhile. The owner renews `lease_until`;
when the owner dies, the next client turns the row into `unknown` after the lease and goes on.
DMS servers take requests of a host in order, so what the dead client sent is carried out before
what the next one sends.

States: in_flight · succeeded · failed (the server said no) · not_delivered · shared (only the
ledger changed) · released (the same, for a dead host) · unknown (it may have happened) · settled
(was unknown, until a later confirmed operation on the same pair made the question moot).
"""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection

from . import claims, requests, schema
from .claims import Claim, Refused
from .errors import DatabaseException, DMSClientException
from .ledger import Ledger
from .records import Busy, Found, Records, Step, pair_key
from .requests import MountRequest, Reply
from .schema import Operation, State

log = logging.getLogger(__name__)

#: Every answer: `{status, error_msg, success_msg, outcome, operation_id}`.
Response = dict[str, Any]

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


class LeaseLost(Exception):
    """The record was taken over while its owner was silent."""


class _Written(Exception):
    """An earlier try of the same write had succeeded; its answer was lost."""


class _Overtaken(Exception):
    """A newer operation was sent on the pair: its own outcome decides."""


class Operations:
    """The operations of one client. owner, lease: see `Records`."""

    def __init__(self, ledger: Ledger, *, owner: str, lease: float) -> None:
        self.ledger = ledger
        self.records = Records(ledger, owner=owner, lease=lease)

    def claim(
        self, request: MountRequest, *, reply_queue: str, actor: str | None, ask: bool = False
    ) -> Claim:
        """Lock the pair, look at its ledger rows, decide. ask: the server is asked in any case.

        Raises Busy while another client holds the pair.
        """
        operation_id = str(uuid.uuid4())

        def work(connection: Connection) -> Claim:
            claims.refuse_unwritable(connection, self.records, request)
            found = self.records.open(
                connection, request, operation_id, reply_queue=reply_queue, actor=actor
            )
            return claims.decide(connection, self.records, request, operation_id, found, ask=ask)

        try:
            return self.ledger.write(work, patience=5.0)
        except Refused as refused:
            return Claim("nothing", operation_id, refused.why)
        except Busy:
            # A commit whose answer was lost may have left our own lock; nothing was sent under it.
            own = self.get(operation_id)
            if own is not None and own.state == "in_flight":
                self.finish(operation_id, "not_delivered", "the claim's answer was lost")
            raise

    def release(
        self, jobid: int, backup_target_id: str, host: str, *, actor: str | None, why: str
    ) -> bool:
        """The job's entry says unmounted from now on, without a server: its host is dead.

        why: kept with the operation. What was unknown on the pair is settled by it. False when
        the entry says unmounted already. Raises Busy while another client works on the pair.
        """
        request = MountRequest("unmount", jobid, backup_target_id, host, wire={})
        operation_id = str(uuid.uuid4())

        def work(connection: Connection) -> bool:
            self.records.open(connection, request, operation_id, reply_queue="", actor=actor)
            cleared, *_ = self.records.run(
                connection,
                self.records.clear_mounted(request),
                self.records.settle_older(request, operation_id),
                self.records.close(operation_id, "released", note=why),
            )
            if not cleared.rowcount:
                raise Refused("nothing is mounted")
            return True

        try:
            return self.ledger.write(work)
        except Refused:
            return False

    def take_over_expired(self, backup_target_id: str, host: str) -> bool:
        """Turn the record of a vanished owner into `unknown`; True when the pair is free now."""
        return self._expire(schema.operation.c.pair_lock == pair_key(backup_target_id, host))

    def _expire(self, which: ColumnElement[bool]) -> bool:
        return self.ledger.write(lambda c: self.records.expire(c, which))

    def renew(self, operation_id: str) -> None:
        """Hold the pair for another lease."""
        self.ledger.write(lambda c: self.records.renew(c, operation_id))

    # -- the end --------------------------------------------------------------------------------

    def confirm(
        self,
        request: MountRequest,
        claim: Claim,
        reply: Reply,
        *,
        patience: float,
        known: bool = False,
    ) -> None:
        """Write what the server said into the ledger and the record, in one transaction.

        patience: seconds to keep trying while the database is away. known: the record holds the
        reply already. reply: as it may be shown. Raises LeaseLost when another
        client took the pair meanwhile; then nothing was written but the reply.
        """
        said = reply.text()
        news = None if known else said

        def write(found: Found | None) -> None:
            work = lambda c: self._confirm(c, request, claim, reply, news, found)  # noqa: E731
            self.ledger.write(work, patience=patience)

        try:
            try:
                write(claim.found)
            except DatabaseException as exc:
                if not exc.permanent:
                    raise
                write(None)  # another program may have made the row since our look
        except _Written:
            return
        except LeaseLost:
            self.store_reply(claim.operation_id, said, patience=patience)
            raise

    def _confirm(
        self,
        connection: Connection,
        request: MountRequest,
        claim: Claim,
        reply: Reply,
        said: str | None,
        found: Found | None,
    ) -> None:
        state: State = "succeeded" if reply.succeeded else "failed"
        steps: list[Step] = []
        if reply.succeeded and request.action == "mount":
            if found is None or (found.own is not None and found.own.mounted):
                # Nobody but us should have touched it since our look, and other programs may have.
                found = self.records.look(connection, request)
            steps += self.records.set_mounted(request, found.own)
        elif reply.succeeded:
            steps.append(self.records.clear_mounted(request))
        if reply.succeeded and claim.unresolved:
            steps.append(self.records.settle_older(request, claim.operation_id))
        steps.append(self.records.close(claim.operation_id, state, said=said))
        if not self.records.run(connection, *steps)[-1].rowcount:
            # Another client has the pair; what was done here is rolled back either way.
            now = self.records.get(connection, claim.operation_id)
            raise _Written if now is not None and now.state == state else LeaseLost

    def finish(
        self,
        operation_id: str,
        state: State,
        note: str,
        *,
        said: str | None = None,
        patience: float = 5.0,
    ) -> None:
        """End without touching the ledger: not delivered, or unknown."""
        self.ledger.write(
            lambda c: self.records.run(
                c, self.records.close(operation_id, state, note=note, said=said)
            ),
            patience=patience,
        )

    def get(self, operation_id: str) -> Operation | None:
        return self.ledger.read(lambda c: self.records.get(c, operation_id))

    def store_reply(self, operation_id: str, said: str, *, patience: float = 60.0) -> bool:
        """Keep a late (or second) reply with its operation; False when there is no such record."""
        return self.ledger.write(
            lambda c: self.records.store_reply(c, operation_id, said), patience=patience
        )

    # -- unknown outcomes -----------------------------------------------------------------------

    def find(self, operation_id: str) -> Operation:
        """The operation; raises DMSClientException when there is none."""
        operation = self.get(operation_id) if self.ledger.has_operations() else None
        if operation is None:
            raise DMSClientException(f"There is no operation {operation_id} in this ledger.")
        return operation

    def store(self, correlation_id: str, body: bytes) -> None:
        """Keep a reply with its operation, and with no other."""
        # The record holds its request masked, so the reply is masked by what secrets look like.
        if not self.store_reply(correlation_id, requests.masked_reply(body)):
            log.warning("A reply to nobody's operation was dropped: %s", correlation_id)

    def settle(
        self, operation_id: str, collect: Callable[[Operation], None], *, patience: float
    ) -> tuple[Response, Operation]:
        """Apply what is known by now; the response, and the operation as it stands afterwards.

        collect: stores replies that wait elsewhere. patience: seconds to wait for the pair. Raises
        DMSClientException when there is no such operation.
        """
        operation = self.find(operation_id)
        if operation.state == "in_flight":
            if not self._expire(schema.operation.c.operation_id == operation_id):
                return response(
                    "unknown", error_msg="The operation is still running.", operation=operation_id
                ), operation
            operation = self.find(operation_id)
        if operation.state == "unknown" and not operation.reply:
            collect(operation)
            operation = self.find(operation_id)
        if operation.state == "unknown":
            open_still = self._settled_by_reply(operation, patience)
            if open_still:
                return response("unknown", error_msg=open_still, operation=operation_id), operation
            operation = self.find(operation_id)
        return told(operation), operation

    def _settled_by_reply(self, operation: Operation, patience: float) -> str:
        """Apply the reply that is stored; "", or the sentence that says why it settles nothing."""
        reply = requests.parse_reply((operation.reply or "").encode())
        if not reply:
            return unreadable(operation.action, operation.host) if operation.reply else STILL_OPEN
        until = time.monotonic() + min(patience, 30.0)
        while True:
            try:
                if not self._reclaim(operation):
                    return ""
                break
            except _Overtaken as overtaken:
                return OVERTAKEN.format(status=reply.status, newer=overtaken)
            except Busy:
                if time.monotonic() > until:
                    return BUSY
                time.sleep(0.1)
        return self._applied(operation, reply)

    def _reclaim(self, operation: Operation) -> bool:
        """Lock the pair again; False when the outcome became known meanwhile."""

        def work(connection: Connection) -> bool:
            if newer := self.records.newer(connection, operation):
                raise _Overtaken(newer)
            return self.records.reopen(connection, operation)

        return self.ledger.write(work)

    def _applied(self, operation: Operation, reply: Reply) -> str:
        request = MountRequest(
            "mount" if operation.action == "mount" else "unmount",
            operation.jobid,
            operation.backup_target_id,
            operation.host,
            wire={},
        )
        claim = Claim("send", operation.operation_id, unresolved=True)
        try:
            self.confirm(request, claim, reply, patience=30.0, known=True)
        except DatabaseException as exc:
            if not exc.permanent:
                raise
            refused = f"the ledger refuses the row: {exc.message}"
            self.finish(operation.operation_id, "unknown", refused, patience=30.0)
            return f"The server answered ({reply.status}), but {refused}"
        return ""


# -- what callers are told -------------------------------------------------------------------------


def unreadable(action: str, host: str) -> str:
    """The sentence for an answer that is none, the same whenever it is looked at."""
    return (
        f"The answer of the DMS server on {host} could not be read; whether the {action} happened "
        "is unknown."
    )


def told(operation: Operation) -> Response:
    """The response that a finished operation stands for."""
    reply = requests.parse_reply((operation.reply or "").encode())
    if operation.state == "shared":
        return response("shared", success_msg=operation.note, operation=operation.operation_id)
    if operation.state in ("succeeded", "failed"):
        # The state was read from the whole answer; of its words the record may lack some.
        return response(
            "replied",
            status="success" if operation.state == "succeeded" else "error",
            error_msg=reply.error_msg if reply else operation.reply or operation.note,
            success_msg=reply.success_msg if reply else None,
            operation=operation.operation_id,
        )
    if operation.state == "settled":
        note = f"Its outcome stays unknown, but operation {operation.settled_by} settled the mount."
        return response("unknown", error_msg=note, operation=operation.operation_id)
    outcome = "not_delivered" if operation.state == "not_delivered" else "unknown"
    why = operation.note or f"The operation is {operation.state.replace('_', ' ')}."
    return response(outcome, error_msg=why, operation=operation.operation_id)


#: What servers answer when they had nothing to do (seen: "Already mounted at …", "Target not
#: mounted at …"); both are successes.
_ALREADY = {"mount": "already mounted", "unmount": "not mounted"}


def verified(answer: Response, action: str = "") -> Response:
    """The response of a verification: what it proves about ledger and host."""
    said = (answer["success_msg"] or "").lower()
    if answer["outcome"] != "replied" or answer["status"] != "success":
        verdict, finding = "unsettled", "Nothing is proven: " + (answer["error_msg"] or "no answer")
    elif _ALREADY[action] in said:
        verdict = "agreed"
        finding = f"Ledger and host agree: {'mounted' if action == 'mount' else 'not mounted'}."
    elif action == "mount":
        verdict = "host_corrected"
        finding = "The host was wrong: it had lost the mount, and has mounted it again."
    else:
        verdict = "host_corrected"
        finding = "The host was wrong: it still held a mount of nobody, and has unmounted it."
    return {**answer, "verdict": verdict, "finding": finding}


def response(
    outcome: str,
    *,
    status: str | None = None,
    error_msg: str | None = None,
    success_msg: str | None = None,
    operation: str | None = None,
) -> Response:
    """The one shape of every answer; an error_msg makes it an error unless `status` says so."""
    return {
        "status": status or ("error" if error_msg else "success"),
        "error_msg": error_msg,
        "success_msg": success_msg,
        "outcome": outcome,
        "operation_id": operation,
    }
