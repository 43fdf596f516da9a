"""Target templates: what operators mount by name; the secret reference is write-only."""

from collections.abc import Mapping
from typing import Any

from backend.accounts import step_up
from backend.changes import gate
from backend.core import access, audit, clock, secret_store
from backend.core.access import Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import FieldInvalid, InvalidInput, PortalError
from backend.dms.requests import TYPES
from backend.models.mounts import MountTarget
from backend.mounts import ledger_repository, repository, settings
from backend.mounts.errors import TargetNotFound
from backend.mounts.schemas import OperationView, TargetView

ACTION = "mounts.target"
#: Characters of each text of a template.
MOST = {"mount_path": 1000, "filesystem_export": 1000, "nfs_mount_opts": 500, "secret_ref": 2000}


def binding(environment_id: int, target_id: str) -> str:
    """The place the secret belongs to; a ciphertext copied to another target does not open."""
    return f"mount target {environment_id}/{target_id}"


def list_targets(
    session: ReadSession, actor: Actor, *, environment: str | None = None
) -> tuple[TargetView, ...]:
    """The templates of an environment, by id."""
    access.require(actor, Permission.MOUNTS_READ)
    where = settings.find(session, environment)
    return tuple(
        repository.target_view(row)
        for row in repository.list_targets(session, where.environment_id)
    )


def save(
    session: WriteSession,
    actor: Actor,
    *,
    environment: str | None = None,
    target_id: str,
    type: str,
    mount_path: str,
    filesystem_export: str = "",
    nfs_mount_opts: str = "",
    secret_ref: str = "",
) -> TargetView:
    """Make or change a template; an empty secret_ref keeps the stored one.

    Raises InvalidInput naming everything that is missing, NotFresh; Waiting where the policy asks
    for an approval.
    """
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    if secret_ref:
        step_up.require(session, actor)
    where = settings.find(session, environment)
    if not where.environment_id:
        raise InvalidInput("Templates belong to an environment; add one on the Connections page.")
    row = repository.find_target(session, where.environment_id, target_id)
    _check(target_id, type, mount_path, filesystem_export, secret_ref or (row and row.secret_ref))
    changed = row is not None
    if not changed:
        _check_room(session, where)
    texts = {
        "mount_path": mount_path,
        "filesystem_export": filesystem_export,
        "nfs_mount_opts": nfs_mount_opts,
    }
    _check_lengths({**texts, "secret_ref": secret_ref})
    asked = {"target_id": target_id, "type": type, **texts}
    _approved(session, actor, where, {"verb": "save", **asked}, secret_ref)
    if row is None:
        row = MountTarget(environment_id=where.environment_id, target_id=target_id, secret_ref="")
        session.add(row)
    row.type, row.mount_path = type, mount_path
    row.filesystem_export, row.nfs_mount_opts = filesystem_export, nfs_mount_opts
    if secret_ref:
        place = binding(where.environment_id, target_id)
        row.secret_ref = secret_store.get_vault().encrypt(secret_ref, binding=place)
    row.updated_at, row.updated_by = clock.now(), actor.name
    session.flush()
    _audited(session, actor, target_id, "changed" if changed else "made")
    return repository.target_view(row)


def remove(
    session: WriteSession, actor: Actor, *, environment: str | None = None, target_id: str
) -> None:
    """Forget a template; mounts of the target are not touched.

    Raises TargetNotFound; Waiting where the policy asks for an approval.
    """
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = settings.find(session, environment)
    row = repository.find_target(session, where.environment_id, target_id)
    if row is None:
        raise TargetNotFound(target_id)
    _approved(session, actor, where, {"verb": "remove", "target_id": target_id}, "")
    session.delete(row)
    _audited(session, actor, target_id, "removed")


def _check_room(session: WriteSession, where: settings.DmsSettings) -> None:
    """So that a list shows all, of two at once, too. Raises InvalidInput."""
    most = repository.MAX_TARGETS
    repository.lock_targets(session, where.environment_id)
    if repository.count_targets(session, where.environment_id) >= most:
        raise InvalidInput(
            f"{where.environment} has {most} templates, as many as there may be. Remove one first."
        )


def _approved(
    session: WriteSession,
    actor: Actor,
    where: settings.DmsSettings,
    asked: dict[str, Any],
    secret_ref: str,
) -> None:
    """Go on, or wait. Export and options may name machines, which not everybody may read."""
    intent = gate.Intent(
        ACTION,
        where.environment,
        f"target {asked['target_id']}",
        asked,
        {"target": asked["target_id"], "secret set": bool(secret_ref)},
        environment_id=where.environment_id,
        secrets={"secret_ref": secret_ref} if secret_ref else {},
        details={name: value for name, value in asked.items() if value},
        also=("connections.secret",) if secret_ref else (),
    )
    gate.check(session, actor, intent)


def document(
    session: ReadSession,
    where: settings.DmsSettings,
    *,
    target_id: str,
    host: str,
    jobid: int,
    keystone_token: str,
    actor_name: str,
    secret_ref: str = "",
) -> dict[str, Any]:
    """A complete request for the target: from its template, else from its last operation.

    secret_ref: used instead of the template's. Raises TargetNotFound when neither is known.
    """
    template = repository.find_target(session, where.environment_id, target_id)
    if template is not None:
        target = _from_template(where.environment_id, template)
    else:
        target = _from_operations(where, target_id)
    if secret_ref:
        target["secret_ref"] = secret_ref
    return {
        "context": {"user_id": actor_name, "tenant_id": where.environment, "request_id": "portal"},
        "keystone_token": keystone_token,
        "job": {"jobid": jobid, "progress": 0, "status": "running", "job_details": []},
        "host": host,
        "backup_target": target,
    }


def known_ids(session: ReadSession, actor: Actor, *, environment: str | None = None) -> list[str]:
    """Targets that can be mounted by name: templates, and what was mounted lately."""
    access.require(actor, Permission.MOUNTS_READ)
    where = settings.find(session, environment)
    names = {row.target_id for row in repository.list_targets(session, where.environment_id)}
    ledger = settings.open_ledger(where)
    recent = ledger_repository.operations(ledger, limit=200)
    names |= {op.backup_target_id for op in recent if _described(op)}
    return sorted(names)


def known_besides(session: ReadSession, actor: Actor, *, environment: str | None = None) -> str:
    """A sentence on targets that are known from their last mount only, for a list of templates.

    "" without any. A ledger that is away is said in it: the templates are the portal's own.
    """
    templates = {each.target_id for each in list_targets(session, actor, environment=environment)}
    try:
        more = [n for n in known_ids(session, actor, environment=environment) if n not in templates]
    except PortalError as exc:
        return f"What was mounted before is not known: {exc.message}"
    return f"Known from earlier mounts, without a template: {', '.join(more)}." if more else ""


def _described(operation: OperationView) -> bool:
    target = operation.request.get("backup_target")
    return isinstance(target, dict) and bool(target.get("filesystem_export_mount_path"))


def _from_template(environment_id: int, row: MountTarget) -> dict[str, Any]:
    secret = None
    if row.secret_ref:
        place = binding(environment_id, row.target_id)
        secret = secret_store.get_vault().decrypt(row.secret_ref, binding=place)
    return {
        "id": row.target_id,
        "deleted": False,
        "type": row.type,
        "filesystem_export": row.filesystem_export or None,
        "filesystem_export_mount_path": row.mount_path,
        "status": "available",
        "secret_ref": secret,
        "nfs_mount_opts": row.nfs_mount_opts or None,
    }


def _from_operations(where: settings.DmsSettings, target_id: str) -> dict[str, Any]:
    ledger = settings.open_ledger(where)
    for operation in ledger_repository.operations(ledger, target=target_id, limit=50):
        if _described(operation):
            # Its secret was masked when it was stored, so it has to be given again.
            return {**operation.request["backup_target"], "secret_ref": None}
    raise TargetNotFound(target_id)


def _check(target_id: str, kind: str, mount_path: str, export: str, secret: object) -> None:
    problems = []
    if not target_id or len(target_id) > 255:
        problems.append("an id of at most 255 characters")
    if kind not in TYPES:
        problems.append("the type s3 or nfs")
    if not mount_path.startswith("/"):
        problems.append("an absolute mount path")
    if kind == "s3" and not secret:
        problems.append("a secret reference")
    if kind == "nfs" and not export:
        problems.append("a filesystem export")
    if problems:
        raise InvalidInput(f"A target template needs {', '.join(problems)}.")


def _check_lengths(texts: Mapping[str, str]) -> None:
    long = [name for name, text in texts.items() if len(text) > MOST[name]]
    if long:
        raise FieldInvalid(
            {name: f"{name} has at most {MOST[name]:,} characters." for name in long}
        )


def _audited(session: WriteSession, actor: Actor, target_id: str, outcome: str) -> None:
    audit.record(
        session, actor, "mounts:target:write", subject=f"target {target_id}", outcome=outcome
    )


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put every template's secret under the vault's first key; how many."""
    rows = [row for row in repository.all_targets_locked(session) if row.secret_ref]
    for row in rows:
        place = binding(row.environment_id, row.target_id)
        row.secret_ref = vault.rotate(row.secret_ref, binding=place)
    return len(rows)
