"""How approved changes of mounts are carried out."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from backend.changes.actions import Action, Begun, End
from backend.changes.schemas import MOST, Preview
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.words import counted
from backend.mounts import (
    actions,
    frozen,
    ledger_repository,
    release,
    settings,
    targets,
    verification,
)
from backend.mounts.schemas import MountView

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


def change_target(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _WRITE)
    service: Any = targets.save if parameters.pop("verb") == "save" else targets.remove
    database.change(service, actor, environment=environment, **parameters)
    return Begun(end=End("succeeded"))


def on_host(
    work: Any, database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """work: the module `release` or `verification`."""
    access.require(actor, _WRITE)
    done = work.run(database, actor, environment=environment or None, **parameters)
    return Begun(end=End("succeeded", work.sentence(done)))


def entries_of_request(
    kind: Literal["mount", "unmount", "verify"],
    database: Database,
    actor: Actor,
    *,
    environment: str,
    parameters: dict[str, Any],
) -> Preview:
    """What the ledger has on the request's target and host now, other jobs' entries included."""
    access.require(actor, Permission.MOUNTS_READ)
    with database.read() as session:
        ledger = settings.open_ledger(settings.find(session, environment or None))
    asked = actions.parsed(parameters, "unmount" if kind == "unmount" else "mount")
    held = ledger_repository.holders(ledger, asked.backup_target_id, asked.host)
    others = [entry for entry in held if entry.jobid != asked.jobid]
    said = f"{counted(len(others), 'other job')} on {asked.backup_target_id} at {asked.host}"
    sends = frozen.sends(len(others))
    ours = any(entry.jobid == asked.jobid for entry in held)
    note = {
        "mount": "",
        "unmount": f"{said}: a physical unmount is for the last one, {sends}.",
        "verify": f"The server would be asked to have it {'mounted' if ours else 'unmounted'}.",
    }[kind]
    return _entries(f"Mounted there now, {said}", held, note)


def entries_of_job(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """The entries that would be marked deleted."""
    access.require(actor, Permission.MOUNTS_READ)
    with database.read() as session:
        ledger = settings.open_ledger(settings.find(session, environment or None))
    job, target = parameters["job"], parameters["target"]
    found = [m for m in ledger_repository.of_job(ledger, job, target) if not m.deleted]
    return _entries(f"Entries of backup job {job} for {target}", found)


def entries_of_host(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """The entries that would be said unmounted."""
    access.require(actor, Permission.MOUNTS_READ)
    found = database.ask(
        release.plan, actor, environment=environment or None, host=parameters["host"]
    )
    return _entries(f"Mounted on {found.host} by the ledger", found.entries, found.refused)


def questions(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """What the host's server would be asked."""
    access.require(actor, Permission.MOUNTS_READ)
    found = database.ask(
        verification.plan, actor, environment=environment or None, host=parameters["host"]
    )
    rows = [(str(each.jobid), each.target, each.expected) for each in found.entries]
    return Preview(
        title=f"What {found.host} would be asked",
        columns=("Backup job", "Target", "Ledger says"),
        rows=tuple(rows[:MOST]),
        total=len(rows),
        notes=tuple(filter(None, (found.refused,))),
    )


def _entries(title: str, found: Sequence[MountView], note: str = "") -> Preview:
    rows = [
        (
            str(entry.jobid),
            entry.backup_target_id,
            entry.host,
            "mounted" if entry.mounted else "not mounted",
        )
        for entry in found
    ]
    return Preview(
        title=title,
        columns=("Backup job", "Target", "Host", "State"),
        rows=tuple(rows[:MOST]),
        total=len(rows),
        notes=tuple(filter(None, (note,))),
    )


ACTIONS = (
    Action(targets.ACTION, "Change a mount target's template", _WRITE, change_target),
    Action(
        "mounts.mount",
        "Mount a target",
        _WRITE,
        partial(operate, "mount"),
        preview=partial(entries_of_request, "mount"),
    ),
    Action(
        "mounts.unmount",
        "Unmount a target",
        _WRITE,
        partial(operate, "unmount"),
        preview=partial(entries_of_request, "unmount"),
    ),
    Action(
        "mounts.verify",
        "Verify a mount",
        _WRITE,
        partial(operate, "verify"),
        preview=partial(entries_of_request, "verify"),
    ),
    Action(
        "mounts.verify_host",
        "Verify a host",
        _WRITE,
        partial(on_host, verification),
        unit="entries",
        preview=questions,
    ),
    Action(
        "mounts.release",
        "Release a dead host",
        _WRITE,
        partial(on_host, release),
        preview=entries_of_host,
    ),
    Action("mounts.delete", "Delete entries of the ledger", _WRITE, delete, preview=entries_of_job),
)
