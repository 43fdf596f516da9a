"""Work on every mount of a host, by a plan that a person has seen: a release or a verification."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from backend.changes import gate
from backend.core import audit
from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import Conflict, InvalidInput, PortalError
from backend.mounts import explorer
from backend.mounts.place_schemas import ReleasePlan, VerificationPlan

Plan = TypeVar("Plan", ReleasePlan, VerificationPlan)
#: Told of each entry: (done, of how many).
Progress = Callable[[int, int], None]


def digest(host: str, entries: list[Any]) -> str:
    return hashlib.sha256(host.encode() + json.dumps(entries).encode()).hexdigest()


def confirmed(found: Plan, digest: str, *, refusal: type[Conflict], done: str) -> Plan:
    """The plan of now, if it is the one with that digest. done: "released", "asked".

    Raises refusal where the plan says why it may not be carried out; InvalidInput, Conflict.
    """
    if found.refused:
        raise refusal(f"{found.host} was not {done}. {found.refused}")
    if not digest:
        raise InvalidInput("Look at the plan first and name its digest.")
    if digest != found.digest:
        raise Conflict(
            f"What the ledger says of {found.host} changed since the plan was made. Nothing was "
            f"{done}; look at it again."
        )
    return found


def check(
    database: Database, actor: Actor, intent: gate.Intent, action: str, unit: str, *, audited: bool
) -> None:
    """Go on, or wait for an approval. audited: it begins now, and the audit log has it.

    unit: what the intent's size counts.
    """
    with database.write() as session:
        gate.check(session, actor, intent)
        if audited:
            details = {unit: intent.size, "environment": intent.environment}
            audit.record(
                session, actor, action, subject=intent.subject, phase="intent", details=details
            )


@contextlib.contextmanager
def audited(database: Database, actor: Actor, action: str, host: str) -> Iterator[dict[str, Any]]:
    """While the block runs it fills the details; at its end they are the outcome's row.

    An error, or a stop between two entries, is the outcome "failed" with its sentence.
    """
    details: dict[str, Any] = {}
    error = ""
    try:
        yield details
    except PortalError as exc:
        error = exc.message
        raise
    except BaseException:
        error = "it was stopped"
        raise
    finally:
        explorer.forget_counts()
        database.change(
            audit.record,
            actor,
            action,
            subject=host,
            phase="outcome",
            outcome="failed" if error else "succeeded",
            details={**details, "error": error},
        )
