"""How approved changes of mounts are carried out."""

from functools import partial
from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.mounts import actions, release, targets, verification

_WRITE = Permission.MOUNTS_WRITE


def operate(
    kind: actions.Kind,
    database: Database,
    actor: Actor,
    *,
    environment: str,
    parameters: dict[str, Any],
) -> Begun:
    """Mount or unmount now; takes up to the DMS timeout."""
    said = actions.run(
        database, actor, environment=environment or None, kind=kind, request=parameters
    )
    operation = str(said["operation_id"] or "")
    if said["status"] == "success":
        return Begun(operation, End("succeeded", said["success_msg"]))
    unknown = said["outcome"] == "unknown"
    return Begun(operation, End("unknown" if unknown else "failed", said["error_msg"]))


def delete(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _WRITE)
    count = actions.delete(database, actor, environment=environment or None, **parameters)
    return Begun(end=End("succeeded", f"{count} marked deleted."))


def release_host(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _WRITE)
    done = release.run(database, actor, environment=environment or None, **parameters)
    return Begun(end=End("succeeded", release.sentence(done)))


def change_target(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _WRITE)
    service: Any = targets.save if parameters.pop("verb") == "save" else targets.remove
    with database.write() as session:
        service(session, actor, environment=environment, **parameters)
    return Begun(end=End("succeeded"))


def verify_host(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _WRITE)
    done = verification.run(database, actor, environment=environment or None, **parameters)
    return Begun(end=End("succeeded", verification.sentence(done)))


ACTIONS = (
    Action(targets.ACTION, "Change a mount target's template", _WRITE, change_target),
    Action("mounts.mount", "Mount a target", _WRITE, partial(operate, "mount")),
    Action("mounts.unmount", "Unmount a target", _WRITE, partial(operate, "unmount")),
    Action("mounts.verify", "Verify a mount", _WRITE, partial(operate, "verify")),
    Action("mounts.verify_host", "Verify a host", _WRITE, verify_host, unit="entries"),
    Action("mounts.release", "Release a dead host", _WRITE, release_host),
    Action("mounts.delete", "Delete entries of the ledger", _WRITE, delete),
)
