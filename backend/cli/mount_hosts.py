"""`python -m backend mounts`: a host or a target as a whole."""

from typing import Annotated, Any

import typer

from backend.cli import common as cli
from backend.cli.mount_targets import Environment
from backend.core import choices
from backend.core.words import counted

app = cli.new_app("Hosts and targets.")

KeystoneToken = Annotated[
    str, typer.Option("--keystone-token-file", help="For s3 targets; - reads stdin.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As the ledger spells it.")]


@app.command("host")
def host(name: Name, environment: Environment = None, json: cli.Json = False) -> None:
    """What is mounted on a host, what speaks against it, and its server's queue now."""
    _place("host", name, environment, json)


@app.command("target")
def target(name: Name, environment: Environment = None, json: cli.Json = False) -> None:
    """On which hosts a target is mounted, and what speaks against it."""
    _place("target", name, environment, json)


@app.command("summary")
def summary(
    by: Annotated[str, typer.Option("--by", help="host or target.")] = "host",
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Hosts or targets with active mounts, those with the most first."""
    from backend.mounts import places

    choices.check("--by", by, ("host", "target"))
    with cli.unit_read() as (session, actor):
        side: Any = by
        page = places.list_all(session, actor, environment=environment, side=side)
    rows = [[row.name or "(empty)", row.mounts, row.others, row.orphans] for row in page.items]
    others = "Targets" if by == "host" else "Hosts"
    cli.emit(page, json, cli.table([by.capitalize(), "Mounts", others, "Orphans"], rows))


@app.command("verify-host")
@cli.may_wait
def verify_host(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host that came back.")],
    yes: Annotated[bool, typer.Option("--yes", help="Carry the plan out.")] = False,
    token: KeystoneToken = "",
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Ask a host's DMS server about every mount; without --yes, show about which."""
    from backend.mounts import verification as service

    plan = cli.read(service.plan, environment=environment, host=host)
    if not yes:
        rows = [[entry.jobid, entry.target, entry.expected] for entry in plan.entries]
        text = cli.table(["Backup job", "Target", "Ledger says"], rows)
        ask = plan.refused or "With --yes the host's server is asked about each."
        cli.emit(plan, json, f"{text}\n{ask}")
        return
    keystone_token = cli.text_of(token).strip() if token else ""
    bar = cli.Progress()
    try:
        done = cli.call(
            service.run,
            environment=environment,
            host=host,
            digest=plan.digest,
            keystone_token=keystone_token,
            progress=bar.progress,
        )
    finally:
        bar.end()
    cli.emit(done, json, "\n".join([service.sentence(done), *done.findings]))
    if done.unsettled:
        raise cli.Failed(service.sentence(done))


@app.command("release")
@cli.may_wait
def release(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host that is dead.")],
    yes: Annotated[bool, typer.Option("--yes", help="Carry the plan out.")] = False,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Say unmounted for all entries of a dead host; without --yes, show what that would be."""
    from backend.mounts import release as service

    plan = cli.read(service.plan, environment=environment, host=host)
    if yes:
        done = cli.call(service.run, environment=environment, host=host, digest=plan.digest)
        cli.emit(done, json, service.sentence(done))
        return
    many = counted(len(plan.entries), "entry says", "entries say")
    said = plan.refused or f"{plan.evidence} With --yes they say unmounted."
    cli.emit(plan, json, f"{entries_table(plan.entries)}\n{many} mounted. {said}")


def entries_table(items: Any) -> str:
    """Entries of the ledger for people."""
    rows = [
        [
            m.key,
            m.jobid,
            m.backup_target_id or "(empty)",
            m.host or "(empty)",
            "yes" if m.mounted else "no",
            m.problem or m.since,
        ]
        for m in items
    ]
    return cli.table(["Entry", "Backup job", "Target", "Host", "Mounted", "Since"], rows)


def _place(side: Any, name: str, environment: str | None, as_json: bool) -> None:
    from backend.mounts import places

    found = cli.read(places.with_queue, environment=environment, side=side, name=name)
    others = "target" if side == "host" else "host"
    said = [
        f"{counted(found.mounts, 'active mount')} of {counted(len(found.others), others)}",
        *(f"{kind.replace('_', ' ')}: {count}" for kind, count in found.orphans.items()),
    ]
    if found.unknown:
        said.append(counted(found.unknown, "operation") + " of unknown outcome")
    if found.queue:
        queue = found.queue
        said.append(
            queue.problem
            or f"{queue.name}: {counted(queue.consumers, 'reader')}, "
            f"{counted(queue.depth, 'request')} waiting"
        )
    rows = [[other.name or "(empty)", other.mounts] for other in found.others]
    table = cli.table([others.capitalize(), "Mounts"], rows)
    cli.emit(found, as_json, "\n".join([table, *said]))
