"""Background work of the mounts room: operators' actions, and the scheduled scan for orphans."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database, ReadSession
from backend.core.errors import JobError, PortalError
from backend.core.settings import get_settings
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext, job
from backend.jobs.schedule import every
from backend.mounts import actions, orphans, release, repository, verification

SCAN_EVERY = timedelta(minutes=15)
#: What became of the request, for the job's log.
OUTCOMES = {
    "replied": "The DMS server answered",
    "shared": "Nothing had to be sent",
    "not_delivered": "Not delivered",
    "unknown": "The outcome is unknown",
}
#: A request whose job never ran is thrown away after this long.
REQUESTS_KEPT = timedelta(days=1)


@job("mounts.operate", title="Mount operation")
def operate(ctx: JobContext, *, request_id: int) -> dict[str, Any]:
    """Carry out a submitted mount, unmount or re-check; fails when its outcome is not a success."""
    ctx.progress(0, 1, note="waiting for the DMS server")
    response = actions.run_submitted(ctx.database, ctx.actor, request_id=request_id)
    ctx.log(f"{OUTCOMES[response['outcome']]}: {response['success_msg'] or _said(response)}")
    if response["status"] != "success":
        raise MountJobFailed(response)
    ctx.progress(1, 1)
    told = ("status", "success_msg", "outcome", "operation_id", "verdict", "finding")
    return {key: response[key] for key in told if key in response}


class MountJobFailed(JobError):
    """The job ran; what it asked for did not succeed."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        # The client's own words say what happened; a server's may be no more than "denied".
        refused = "The DMS server refused: " if response["outcome"] == "replied" else ""
        super().__init__(f"{refused}{_said(response)}")
        self.response = response


def _said(response: Mapping[str, Any]) -> str:
    return response["error_msg"] or "no reason was given."


@job("mounts.release", title="Release a dead host")
def release_host(
    ctx: JobContext, *, environment: str = "", host: str, digest: str
) -> dict[str, Any]:
    """Say unmounted for every entry of a dead host; can be stopped between two entries."""
    done = release.run(
        ctx.database,
        ctx.actor,
        environment=environment or None,
        host=host,
        digest=digest,
        progress=ctx.progress,
    )
    for reason in done.reasons:
        ctx.log(reason)
    ctx.progress(done.released + done.skipped, done.released + done.skipped)
    return {**done.model_dump(mode="json"), "success_msg": release.sentence(done)}


@job("mounts.verify", title="Verify a host")
def verify_host(ctx: JobContext, *, request_id: int) -> dict[str, Any]:
    """Ask a host's server about its mounts; can be stopped between two of them."""
    done = verification.run_submitted(
        ctx.database, ctx.actor, request_id=request_id, progress=ctx.progress
    )
    for finding in done.findings:
        ctx.log(finding)
    return {**done.model_dump(mode="json"), "success_msg": verification.sentence(done)}


@job("mounts.scan", title="Look for orphaned mounts", resumable=True)
def scan(ctx: JobContext, *, environment: str = "") -> dict[str, Any]:
    """Gather evidence in one environment, or in every one that has a ledger."""
    names = [environment] if environment else _environments(ctx.database)
    found, failed = 0, 0
    for number, name in enumerate(names):
        ctx.progress(number, len(names), note=name or "DMS settings")
        try:
            watch = orphans.scan(ctx.database, ctx.actor, environment=name or None)
        except PortalError as exc:
            failed += 1
            ctx.log(f"{name or 'DMS settings'}: {exc.message}")
            continue
        found += watch.orphans
        ctx.log(f"{name or 'DMS settings'}: {watch.orphans} of {watch.active} mounts")
    ctx.progress(len(names), len(names))
    if failed and failed == len(names):
        raise JobError("No ledger could be read; the log of this job says why.")
    return {"environments": len(names), "orphans": found, "failed": failed}


@every("mounts.orphans", minutes=1)
def schedule_scan(database: Database) -> None:
    """Queue a scan when one is due; tidy what nobody needs any more."""
    names = _environments(database)
    with database.write() as session:
        repository.delete_requests_before(session, clock.now() - REQUESTS_KEPT)
        repository.forget_environments(
            session, [0, *[row.id for row in repository.environments(session)]]
        )
        if names and _is_due(session, names):
            enqueue(session, SYSTEM, "mounts.scan", {}, subject="mounts of all environments")


def _is_due(session: ReadSession, names: list[str]) -> bool:
    """Every quarter of an hour, and at once for an environment that was never looked at."""
    last = next(iter(jobs.list_jobs(session, SYSTEM, kind="mounts.scan", limit=1).items), None)
    if last is None or clock.now() - last.created_at >= SCAN_EVERY:
        return True
    known = {watch.environment for watch in repository.list_watches(session)}
    return last.ended and not known.issuperset(names)


def _environments(database: Database) -> list[str]:
    """Names of environments with a ledger; "" for the DMS_* settings when there is none."""
    from backend.connections import resolve

    with database.read() as session:
        names = [row.name for row in repository.environments(session)]
        found = [n for n in names if resolve.find(session, environment=n, kind="ledger")]
    if not names and get_settings().dms_db_url.get_secret_value():
        return [""]
    return found
