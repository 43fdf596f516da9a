"""The responses that callers get: `{status, error_msg, success_msg, outcome, operation_id}`."""

from typing import Any

from . import requests
from .claims import Claim
from .operations import Operation
from .requests import MountRequest, counted

Response = dict[str, Any]


def shared(request: MountRequest, claim: Claim) -> str:
    """The sentence for an operation that needed no message."""
    where = f"{request.backup_target_id} on {request.host}"
    others = counted(claim.others, "other job")
    if request.action == "unmount":
        return f"Released; {where} stays mounted for {others}."
    if claim.already:
        return f"{where} is already mounted for job {request.jobid}."
    return f"{where} is already mounted for {others}; job {request.jobid} shares it."


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
