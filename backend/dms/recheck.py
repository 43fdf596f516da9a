"""What became of operations whose outcome was unknown, and what callers are told of one."""

import time
from collections.abc import Callable

from sqlalchemy import Connection

from . import requests, schema
from .errors import DatabaseException, DMSClientException
from .operations import Claim, Operations, Response, response
from .records import Busy
from .requests import MountRequest, Reply
from .schema import Operation

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


class _Overtaken(Exception):
    """A newer operation was sent on the pair: its own outcome decides."""


def find(operations: Operations, operation_id: str) -> Operation:
    """The operation; raises DMSClientException when there is none."""
    operation = operations.get(operation_id) if operations.ledger.has_operations() else None
    if operation is None:
        raise DMSClientException(f"There is no operation {operation_id} in this ledger.")
    return operation


def settle(
    operations: Operations,
    operation_id: str,
    collect: Callable[[Operation], None],
    *,
    patience: float,
) -> tuple[Response, Operation]:
    """Apply what is known by now; the response, and the operation as it stands afterwards.

    collect: stores replies that wait elsewhere. patience: seconds to wait for the pair. Raises
    DMSClientException when there is no such operation.
    """
    operation = find(operations, operation_id)
    if operation.state == "in_flight":
        operations.expire(schema.operation.c.operation_id == operation_id)
        operation = find(operations, operation_id)
        if operation.state == "in_flight":
            return response(
                "unknown", error_msg="The operation is still running.", operation=operation_id
            ), operation
    if operation.state == "unknown" and not operation.reply:
        collect(operation)
        operation = find(operations, operation_id)
    if operation.state == "unknown":
        open_still = _settled_by_reply(operations, operation, patience)
        if open_still:
            return response("unknown", error_msg=open_still, operation=operation_id), operation
        operation = find(operations, operation_id)
    return told(operation), operation


def _settled_by_reply(operations: Operations, operation: Operation, patience: float) -> str:
    """Apply the reply that is stored; "", or the sentence that says why it settles nothing."""
    reply = requests.parse_reply((operation.reply or "").encode())
    if not reply:
        return unreadable(operation.action, operation.host) if operation.reply else STILL_OPEN
    until = time.monotonic() + min(patience, 30.0)
    while True:
        try:
            if not _reclaim(operations, operation):
                return ""
            break
        except _Overtaken as overtaken:
            return OVERTAKEN.format(status=reply.status, newer=overtaken)
        except Busy:
            if time.monotonic() > until:
                return BUSY
            time.sleep(0.1)
    return _applied(operations, operation, reply)


def _reclaim(operations: Operations, operation: Operation) -> bool:
    """Lock the pair again; False when the outcome became known meanwhile."""

    def work(connection: Connection) -> bool:
        if newer := operations.records.newer(connection, operation):
            raise _Overtaken(newer)
        return operations.records.reopen(connection, operation)

    return operations.ledger.write(work)


def _applied(operations: Operations, operation: Operation, reply: Reply) -> str:
    request = MountRequest(
        "mount" if operation.action == "mount" else "unmount",
        operation.jobid,
        operation.backup_target_id,
        operation.host,
        wire={},
    )
    claim = Claim("send", operation.operation_id, unresolved=True)
    try:
        operations.confirm(request, claim, reply, patience=30.0, known=True)
    except DatabaseException as exc:
        if not exc.permanent:
            raise
        refused = f"the ledger refuses the row: {exc.message}"
        operations.finish(operation.operation_id, "unknown", refused, patience=30.0)
        return f"The server answered ({reply.status}), but {refused}"
    return ""


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
