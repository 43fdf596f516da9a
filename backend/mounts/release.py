"""Entries of a dead host: no server is left that could unmount, so the ledger alone is set right.

Dead is what a person says it is; the portal only refuses while a DMS server reads the host's queue.
A host that comes back may still hold a mount: `verify` finds that out, per entry, and unmounts it.
"""

from backend.changes import gate
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.errors import Conflict
from backend.core.words import counted
from backend.dms.operations import Operations
from backend.dms.records import Busy
from backend.dms.transport import queue_of
from backend.jobs.enqueue import enqueue
from backend.mounts import explorer, host_work, ledger_repository, orphans, settings
from backend.mounts.errors import MountNotFound
from backend.mounts.place_schemas import Released, ReleasePlan
from backend.mounts.schemas import MountView
from backend.mounts.settings import DmsSettings

#: Entries one release takes; the rest waits for the next one.
MOST = 5_000
#: Between two looks at the host's queue.
LOOK_EVERY = 100
AUDIT = "mounts:host:release"


class HostLives(Conflict):
    """A DMS server reads the host's queue, or nobody knows whether one does."""


def plan(
    session: ReadSession, actor: Actor, *, environment: str | None = None, host: str
) -> ReleasePlan:
    """The host's mounted entries, and what speaks for and against its being dead.

    Raises MountNotFound when nothing is mounted there by the ledger.
    """
    access.require(actor, Permission.MOUNTS_READ)
    return _plan(settings.find(session, environment), host)


def submit(
    database: Database, actor: Actor, *, environment: str | None = None, host: str, digest: str
) -> int:
    """`run` as a job; returns its id. Refused at once for what `run` would refuse."""
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = database.ask(settings.find, environment)
    _check(database, actor, where, _confirmed(where, host, digest), audited=False)
    arguments = {"environment": where.environment, "host": host, "digest": digest}
    return database.change(
        enqueue,
        actor,
        "mounts.release",
        arguments,
        subject=f"release {host}",
        environment=where.environment,
    )


def run(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    host: str,
    digest: str,
    progress: host_work.Progress = lambda _done, _all: None,
) -> Released:
    """Say unmounted for every entry of the plan. digest: the plan's.

    Raises Conflict when the entries are not those of the plan any more, HostLives when a server
    reads the queue. Entries that somebody works on, or that cannot be read, are left as they are.
    """
    access.require_to_ask(actor, Permission.MOUNTS_WRITE)
    where = database.ask(settings.find, environment)
    wanted = _confirmed(where, host, digest)
    _check(database, actor, where, wanted, audited=True)
    reasons: list[str] = []
    with host_work.audited(database, actor, AUDIT, host) as told:
        told |= {"released": 0, "skipped": 0}
        operations = Operations(settings.open_ledger(where), owner="portal", lease=30.0)
        operations.ledger.ensure_operations()
        for number, entry in enumerate(wanted.entries):
            progress(number, len(wanted.entries))
            if number and number % LOOK_EVERY == 0:
                _require_dead(where, host)
            said = _release(operations, entry, actor, wanted.evidence)
            reasons += [said] if said else []
            told["skipped" if said else "released"] += 1
    return Released(
        host=host, released=told["released"], skipped=len(reasons), reasons=tuple(reasons[:20])
    )


def _plan(where: DmsSettings, host: str) -> ReleasePlan:
    found = ledger_repository.of_host(settings.open_ledger(where), host, MOST)
    if not found:
        raise MountNotFound(f"anything mounted on {host}")
    evidence, refused = _state(where, host)
    return ReleasePlan(
        host=host,
        evidence=evidence,
        refused=refused,
        entries=tuple(found),
        digest=host_work.digest(host, sorted(entry.key for entry in found)),
    )


def _state(where: DmsSettings, host: str) -> tuple[str, str]:
    """What speaks for the host's being dead, and why it may not be released; one of them is ""."""
    queues, problem = orphans.check_queues(where, [host])
    state = queues.get(host)
    if state is None:
        return "", problem or "The host's queue was not looked at."
    if not state.exists:
        return f"The queue {queue_of(host)} does not exist.", ""
    if not state.consumers:
        return f"Nobody reads the queue {queue_of(host)}.", ""
    return "", f"A DMS server reads {queue_of(host)}: unmount or verify its entries instead."


def _require_dead(where: DmsSettings, host: str) -> None:
    _evidence, refused = _state(where, host)
    if refused:
        raise HostLives(f"{host} was not released any further. {refused}")


def _confirmed(where: DmsSettings, host: str, digest: str) -> ReleasePlan:
    return host_work.confirmed(_plan(where, host), digest, refusal=HostLives, done="released")


def _check(
    database: Database, actor: Actor, where: DmsSettings, wanted: ReleasePlan, *, audited: bool
) -> None:
    size = len(wanted.entries)
    intent = gate.Intent(
        "mounts.release",
        where.environment,
        wanted.host,
        {"host": wanted.host, "digest": wanted.digest},
        {"host": wanted.host, "entries": size, "evidence": wanted.evidence},
        size=size,
        digest=wanted.digest,
        through=settings.THROUGH,
        environment_id=where.environment_id,
    )
    host_work.check(database, actor, intent, AUDIT, "entries", audited=audited)


def _release(operations: Operations, entry: MountView, actor: Actor, evidence: str) -> str:
    """Why the entry was left as it is, else ""."""
    name = explorer.subject_of(entry.jobid, entry.backup_target_id)
    if entry.jobid is None:
        return f"{name}: its row cannot be read ({entry.problem})"
    why = f"the host is dead and was released: {evidence}"
    try:
        changed = operations.release(
            entry.jobid, entry.backup_target_id, entry.host, actor=actor.name, why=why
        )
    except Busy:
        return f"{name}: an operation is still on"
    return "" if changed else f"{name}: it was unmounted meanwhile"


def sentence(done: Released) -> str:
    """For a person."""
    said = f"{counted(done.released, 'entry', 'entries')} of {done.host} released."
    if done.skipped:
        said += f" Left as they were: {done.skipped} ({'; '.join(done.reasons[:3])})."
    return said
