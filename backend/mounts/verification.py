"""A host that came back: its DMS server is asked about every mount that the ledger says it holds,
and about those that the ledger gave up while it was away.

A DMS server has no question of its own: it is asked to do what the ledger says, answers "already"
when that is so, and else does it (REALITY.md). So the ledger is what counts, and a host that was
wrong is set right.
"""

from collections import Counter
from collections.abc import Iterator

from backend.changes import gate
from backend.core import access, outside
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.errors import Conflict
from backend.core.words import counted
from backend.dms.client import DMSClient
from backend.dms.errors import DMSClientException
from backend.mounts import (
    explorer,
    host_work,
    ledger_repository,
    places,
    sealed_requests,
    settings,
    targets,
)
from backend.mounts.errors import MountNotFound, TargetNotFound, translated
from backend.mounts.place_schemas import ToVerify, Verification, VerificationPlan
from backend.mounts.settings import DmsSettings

#: Mounts one verification asks about.
MOST = 2_000
#: Operations that are looked through for what was given up.
MOST_OPERATIONS = 2_000
MOST_FINDINGS = 50
AUDIT = "mounts:host:verify"


class NobodyThere(Conflict):
    """No DMS server reads the host's queue, so nobody could answer."""


def plan(
    session: ReadSession, actor: Actor, *, environment: str | None = None, host: str
) -> VerificationPlan:
    """What the host would be asked. Raises MountNotFound when there is nothing to ask about."""
    access.require(actor, Permission.MOUNTS_READ)
    return _plan(settings.find(session, environment), host)


def submit(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    host: str,
    digest: str,
    keystone_token: str = "",
) -> int:
    """`run` as a job; returns its id. The token waits encrypted, as a request does."""
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = database.ask(settings.find, environment)
    _check(database, actor, where, _confirmed(where, host, digest), keystone_token, audited=False)
    document = {"host": host, "digest": digest, "keystone_token": keystone_token}
    return sealed_requests.enqueue(
        database, actor, where, "host", document, job="mounts.verify", subject=f"verify {host}"
    )


def run_submitted(
    database: Database, actor: Actor, *, request_id: int, progress: host_work.Progress
) -> Verification:
    """What the job does: take the request out of its box, then `run`. Raises RequestGone."""
    access.require(actor, Permission.MOUNTS_WRITE)
    found = sealed_requests.take(database, request_id)
    environment = found.environment or None
    return run(database, actor, environment=environment, progress=progress, **found.document)


def run(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    host: str,
    digest: str,
    keystone_token: str = "",
    progress: host_work.Progress = lambda _done, _all: None,
) -> Verification:
    """Ask about every mount of the plan, one after the other. digest: the plan's.

    keystone_token: for targets of type s3, where the portal has none of its own. Raises Conflict
    when the plan is another by now, NobodyThere when no server reads the host's queue.
    """
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = database.ask(settings.find, environment)
    wanted = _confirmed(where, host, digest)
    _check(database, actor, where, wanted, keystone_token, audited=True)
    verdicts: Counter[str] = Counter()
    findings: list[str] = []
    with host_work.audited(database, actor, AUDIT, host) as told:
        for number, (entry, verdict, finding) in enumerate(
            _asked(database, actor, where, wanted, keystone_token, progress)
        ):
            verdicts[verdict] += 1
            told |= verdicts
            if verdict != "agreed" and len(findings) < MOST_FINDINGS:
                findings.append(f"{explorer.subject_of(entry.jobid, entry.target)}: {finding}")
            progress(number + 1, len(wanted.entries))
    return Verification(
        host=host,
        agreed=verdicts["agreed"],
        host_corrected=verdicts["host_corrected"],
        unsettled=verdicts["unsettled"],
        findings=tuple(findings),
    )


def sentence(done: Verification) -> str:
    """For a person: which of the two was wrong, and how often."""
    total = done.agreed + done.host_corrected + done.unsettled
    said = f"{done.host}: of {counted(total, 'mount')} ledger and host agree on {done.agreed}."
    if done.host_corrected:
        said += f" The host was wrong on {done.host_corrected} and was set right."
    if done.unsettled:
        said += f" Nothing is proven of {done.unsettled}."
    return said


def _plan(where: DmsSettings, host: str) -> VerificationPlan:
    entries = tuple(_to_verify(where, host))
    if not entries:
        raise MountNotFound(f"anything mounted on {host}, or given up there")
    queue = places.queue_view(where, host)
    return VerificationPlan(
        host=host,
        queue=queue,
        refused=_refused(queue.problem, queue.name, queue.consumers),
        entries=entries[:MOST],
        digest=host_work.digest(host, [[e.jobid, e.target, e.expected] for e in entries]),
    )


def _refused(problem: str, name: str, consumers: int) -> str:
    if problem:
        return problem
    return "" if consumers else f"Nobody reads {name}: the host's DMS server is not there."


def _to_verify(where: DmsSettings, host: str) -> Iterator[ToVerify]:
    """One for each target: a mount is the host's, whichever of its jobs asks about it."""
    ledger = settings.open_ledger(where)
    seen: set[str] = set()
    for entry in ledger_repository.of_host(ledger, host, MOST):
        if entry.jobid is None or entry.deleted or entry.backup_target_id in seen:
            continue
        seen.add(entry.backup_target_id)
        yield ToVerify(jobid=entry.jobid, target=entry.backup_target_id, expected="mounted")
    for status in ("released", "unknown"):
        for operation in ledger_repository.operations(
            ledger, host=host, status=status, limit=MOST_OPERATIONS
        ):
            if operation.host != host or operation.backup_target_id in seen:
                continue
            target = operation.backup_target_id
            seen.add(target)
            yield ToVerify(jobid=operation.jobid, target=target, expected="not mounted")


def _confirmed(where: DmsSettings, host: str, digest: str) -> VerificationPlan:
    return host_work.confirmed(_plan(where, host), digest, refusal=NobodyThere, done="asked")


def _check(
    database: Database,
    actor: Actor,
    where: DmsSettings,
    wanted: VerificationPlan,
    keystone_token: str,
    *,
    audited: bool,
) -> None:
    size, host = len(wanted.entries), wanted.host
    intent = gate.Intent(
        "mounts.verify_host",
        where.environment,
        host,
        {"host": host, "digest": wanted.digest, "keystone_token": keystone_token},
        {"host": host, "mounts": size},
        size=size,
        digest=wanted.digest,
        through=settings.THROUGH,
        environment_id=where.environment_id,
    )
    host_work.check(database, actor, intent, AUDIT, "mounts", audited=audited)


def _asked(
    database: Database,
    actor: Actor,
    where: DmsSettings,
    wanted: VerificationPlan,
    keystone_token: str,
    progress: host_work.Progress,
) -> Iterator[tuple[ToVerify, str, str]]:
    """Each entry with its verdict and the sentence that says it."""
    progress(0, len(wanted.entries))
    with translated(), DMSClient(where.db_url, where.rabbitmq_url, where.timeout) as client:
        for entry in wanted.entries:
            try:
                request = database.ask(
                    targets.document,
                    where,
                    target_id=entry.target,
                    host=wanted.host,
                    jobid=entry.jobid,
                    keystone_token=keystone_token,
                    actor_name=actor.name,
                )
                with outside.call("dms"):
                    said = client.verify(request, actor=actor.name)
            except DMSClientException as exc:
                yield entry, "unsettled", exc.message
            except TargetNotFound:
                yield entry, "unsettled", "no template and no earlier mount says how to ask for it."
            else:
                yield entry, said["verdict"], said["finding"]
