"""What operators do: mount, unmount, soft delete, re-check; each audited before and after.

A mount may take as long as the DMS timeout, so no session of the state database is open while a
server is asked: intent, the call, outcome are three steps. Pages hand the work to a job
(`submit`); REST and the command line do it themselves (`run`).
"""

from typing import Any, Literal, cast

from backend.changes import gate
from backend.core import access, audit, outside
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, StateDatabaseDown, WriteSession
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings
from backend.dms import requests
from backend.dms.client import DMSClient
from backend.dms.errors import RequestValidationException
from backend.dms.operations import Response
from backend.dms.recheck import verified
from backend.dms.requests import MountRequest
from backend.jobs.enqueue import enqueue
from backend.mounts import explorer, frozen, ledger_repository, sealed_requests, settings, targets
from backend.mounts.errors import (
    ClientError,
    MountNotFound,
    StillMounted,
    translated,
)
from backend.mounts.explorer import subject_of
from backend.mounts.schemas import MountView, OperationView, UnmountPreview

Kind = Literal["mount", "unmount", "recheck", "verify"]
AUDIT = {
    "mount": "mounts:mount:mount",
    "unmount": "mounts:mount:unmount",
    "recheck": "mounts:operation:recheck",
    "verify": "mounts:mount:verify",
    "delete": "mounts:entry:delete",
}
SANDBOX_SECRET = "sandbox"  # noqa: S105 - what the sandbox's agents take for a token


def run(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    kind: Kind,
    request: dict[str, Any] | None = None,
    operation_id: str = "",
) -> Response:
    """Mount, unmount, re-check or verify now; returns the DMS response, also for a failed one.

    Raises NotPermitted, ClientError for a wrong request (nothing was sent or written), and what
    LedgerNotConfigured and OperationNotFound say. Takes up to the DMS timeout.
    """
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    with database.read() as session:
        where = settings.find(session, environment)
        subject = _subject(where, kind, request, operation_id)
    decided = _decided(where, kind, request)
    with database.write() as session:
        _check(session, actor, where, kind, subject, request, decided)
        audit.record(
            session, actor, AUDIT[kind], subject=subject, phase="intent", details=_where(where)
        )
    response = _call(where, actor, kind, request, operation_id)
    explorer.forget_counts()
    details = {**_where(where), "operation_id": response.get("operation_id")}
    details |= {"outcome": response["outcome"], "error": response["error_msg"]}
    outcome = "succeeded" if response["status"] == "success" else response["outcome"]
    try:
        database.change(
            audit.record,
            actor,
            AUDIT[kind],
            subject=subject,
            phase="outcome",
            outcome=outcome,
            details=details,
        )
    except StateDatabaseDown as exc:
        raise StateDatabaseDown(
            f"The {kind} of {subject} ended ({outcome.replace('_', ' ')}) and the ledger has it, "
            "but the portal's own database is not available to record it. "
            "Look at the mounts page before you ask again."
        ) from exc
    return response


def submit(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    kind: Kind,
    request: dict[str, Any] | None = None,
    operation_id: str = "",
) -> int:
    """The same as a job; returns its id. The request waits encrypted and is deleted when used."""
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = database.ask(settings.find, environment)
    subject = _subject(where, kind, request, operation_id)
    title = f"{kind} {subject}" + (f" ({where.environment})" if where.environment else "")
    decided = _decided(where, kind, request)
    with database.write() as session:
        _check(session, actor, where, kind, subject, request, decided)
        request_id = sealed_requests.put(session, where, kind, request, operation_id)
        return enqueue(
            session,
            actor,
            "mounts.operate",
            {"request_id": request_id},
            subject=title,
            environment=where.environment,
        )


def submit_form(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    kind: Kind,
    target_id: str,
    host: str,
    jobid: int,
    keystone_token: str = "",
    secret_ref: str = "",
    operation_id: str = "",
) -> int:
    """`submit` for a target known by name; the template's secret never leaves the backend."""
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    with database.read() as session:
        document = targets.document(
            session,
            settings.find(session, environment),
            target_id=target_id,
            host=host,
            jobid=jobid,
            keystone_token=keystone_token,
            actor_name=actor.name,
            secret_ref=secret_ref,
        )
    return submit(
        database,
        actor,
        environment=environment,
        kind=kind,
        request=document,
        operation_id=operation_id,
    )


def verify(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    job: int,
    target: str,
    host: str = "",
    request: dict[str, Any] | None = None,
    keystone_token: str = "",
) -> Response:
    """Ask the DMS server whether the job's entry is true, and set the host right if it is not.

    host: needed where the job has entries of the target on several. request: the complete one;
    without it, one is made from the target's template or its last operation, with
    `keystone_token`. Returns what `DMSClient.verify` does. Raises MountNotFound, InvalidInput,
    TargetNotFound.
    """
    access.require(actor, Permission.MOUNTS_WRITE)
    with database.read() as session:
        where = settings.find(session, environment)
        found = ledger_repository.of_job(settings.open_ledger(where), job, target)
        hosts = sorted({entry.host for entry in found if not host or entry.host == host})
        if not hosts:
            raise MountNotFound(f"job {job} and target {target}" + (f" on {host}" if host else ""))
        if len(hosts) > 1:
            raise InvalidInput(f"Name the host: the job has entries on {', '.join(hosts[:10])}.")
        if request is None:
            request = targets.document(
                session,
                where,
                target_id=target,
                host=hosts[0],
                jobid=job,
                keystone_token=keystone_token,
                actor_name=actor.name,
            )
    asked = (request.get("job") or {}).get("jobid", request.get("jobid"))
    named = (asked, (request.get("backup_target") or {}).get("id"), request.get("host"))
    if named != (job, target, hosts[0]):
        raise InvalidInput(f"The request is not one of job {job} for {target} on {hosts[0]}.")
    return run(database, actor, environment=environment, kind="verify", request=request)


def run_submitted(database: Database, actor: Actor, *, request_id: int) -> Response:
    """What the job does: take the request out of its box, then `run`. Raises RequestGone."""
    access.require(actor, Permission.MOUNTS_WRITE)
    found = sealed_requests.take(database, request_id)
    return run(
        database,
        actor,
        environment=found.environment or None,
        kind=cast(Kind, found.kind),  # written by `submit` only
        request=found.document,
        operation_id=found.operation_id,
    )


def delete(
    database: Database, actor: Actor, *, environment: str | None = None, job: int, target: str
) -> int:
    """Soft-delete the job's entries of the target; returns how many.

    Raises StillMounted while one is mounted or a mount of it is open, MountNotFound without any.
    """
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = database.ask(settings.find, environment)
    subject = subject_of(job, target)
    asked: dict[str, Any] = {"job": job, "target": target}
    decided = frozen.of(where, "delete", job=job, target=target)
    with database.write() as session:
        _check(session, actor, where, "delete", subject, asked, decided)
        audit.record(
            session, actor, AUDIT["delete"], subject=subject, phase="intent", details=_where(where)
        )
    outcome, count = "failed", 0
    try:
        ledger = settings.open_ledger(where)
        rows = [m for m in ledger_repository.of_job(ledger, job, target) if not m.deleted]
        if not rows:
            raise MountNotFound(f"job {job} and target {target}")
        if not ledger.soft_delete(job, target):
            outcome = "refused"
            raise StillMounted(job, target)
        outcome, count = "succeeded", len(rows)
    except ClientError as exc:
        outcome = "unknown" if exc.response["outcome"] == "unknown" else outcome
        raise
    finally:
        explorer.forget_counts()
        database.change(
            audit.record,
            actor,
            AUDIT["delete"],
            subject=subject,
            phase="outcome",
            outcome=outcome,
            details={**_where(where), "entries": count},
        )
    return count


def _check(
    session: WriteSession,
    actor: Actor,
    where: settings.DmsSettings,
    kind: Literal["mount", "unmount", "recheck", "verify", "delete"],
    subject: str,
    request: dict[str, Any] | None,
    decided: dict[str, str],
) -> None:
    """A re-check writes nothing that was not asked for before, so no policy holds it back."""
    if kind == "recheck":
        access.require(actor, Permission.MOUNTS_WRITE)
        return
    shown = {"entry": subject, **decided}
    name = f"mounts.{kind}"
    intent = gate.Intent(
        name,
        where.environment,
        subject,
        request or {},
        shown,
        through=settings.THROUGH,
        environment_id=where.environment_id,
    )
    gate.check(session, actor, intent)


def _decided(
    where: settings.DmsSettings, kind: Kind, request: dict[str, Any] | None
) -> dict[str, str]:
    """What the ledger decides about it now."""
    if kind == "recheck":
        return {}
    asked = parsed(request, "mount" if kind == "verify" else kind)
    job, target = asked.jobid, asked.backup_target_id
    return frozen.of(where, kind, job=job, target=target, host=asked.host)


def preview_unmount(
    session: ReadSession, actor: Actor, *, environment: str | None = None, key: str
) -> UnmountPreview:
    """Every other job on the target and host, and whether a physical unmount would be sent."""
    access.require(actor, Permission.MOUNTS_READ)
    ledger = settings.open_ledger(settings.find(session, environment))
    mount = ledger_repository.find(ledger, key)
    holders = ledger_repository.holders(ledger, mount.backup_target_id, mount.host)
    others = tuple(m for m in holders if m.jobid != mount.jobid)
    return UnmountPreview(mount, others, not others, _why(mount, others))


def form_defaults(
    session: ReadSession, actor: Actor, *, environment: str | None = None
) -> dict[str, str]:
    """What the mount form starts with. In the sandbox any token does, so one is filled in."""
    access.require(actor, Permission.MOUNTS_READ)
    where = settings.find(session, environment)
    known = bool(get_settings().keystone_token.get_secret_value())
    sandbox = where.rabbitmq_url.startswith("memory:")
    secret = SANDBOX_SECRET if sandbox else ""
    return {
        "keystone_token": "" if known else secret,
        "secret_ref": secret,
        "token_configured": "yes" if known else "",
        "production": "yes" if where.is_production else "",
        "environment": where.environment,
    }


def _why(mount: MountView, others: tuple[MountView, ...]) -> str:
    where = f"{mount.backup_target_id} on {mount.host}"
    if others:
        jobs = ", ".join(str(m.jobid) for m in others[:10])
        return f"{where} stays mounted for job {jobs}; only this job's entry is released."
    return f"This is the last job on {where}: a physical unmount will be sent."


def _subject(
    where: settings.DmsSettings, kind: Kind, request: dict[str, Any] | None, operation_id: str
) -> str:
    """The audit log's name for it; checks the request on the way, before anything is written."""
    if kind != "recheck":
        asked = parsed(request, "mount" if kind == "verify" else kind)
        where.require_broker()
        return subject_of(asked.jobid, asked.backup_target_id, asked.host)
    operation = _operation(where, operation_id)
    if request is not None:
        action: requests.Action = "mount" if operation.action == "mount" else "unmount"
        parsed(request, action)
    return subject_of(operation.jobid, operation.backup_target_id, operation.host)


def parsed(request: Any, action: requests.Action) -> MountRequest:
    """The request, checked as it is before it is sent. Raises what a wrong one says."""
    token = get_settings().keystone_token.get_secret_value()
    with translated():
        if request is None:
            raise RequestValidationException(["the request is missing"])
        return requests.parse(request, action, keystone_token=token)


def _operation(where: settings.DmsSettings, operation_id: str) -> OperationView:
    if not operation_id:
        raise InvalidInput("Name the operation to re-check.")
    return ledger_repository.operation(settings.open_ledger(where), operation_id)


def _call(
    where: settings.DmsSettings,
    actor: Actor,
    kind: Kind,
    request: dict[str, Any] | None,
    operation_id: str,
) -> Response:
    try:
        with (
            outside.call("dms"),
            translated(),
            DMSClient(where.db_url, where.rabbitmq_url or None, where.timeout) as client,
        ):
            if kind == "recheck":
                return client.recheck(operation_id, request, actor=actor.name)
            steps = {"mount": client.mount, "unmount": client.unmount, "verify": client.verify}
            return steps[kind](request or {}, actor=actor.name)
    except ClientError as exc:
        return verified(exc.response) if kind == "verify" else exc.response


def _where(where: settings.DmsSettings) -> dict[str, Any]:
    return {"environment": where.environment or "DMS settings"}
