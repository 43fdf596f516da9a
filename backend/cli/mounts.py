"""`python -m backend mounts`."""

import json as json_module
import sys
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import typer

from backend.cli import common as cli
from backend.cli import mount_hosts, mount_targets
from backend.cli.mount_hosts import KeystoneToken, entries_table
from backend.cli.mount_targets import Environment, TargetId
from backend.core.errors import InvalidInput, PortalError
from backend.core.words import counted

app = cli.new_app("The mount ledger: who has which backup target mounted where.")
app.add_typer(mount_targets.app, name="targets")
app.add_typer(mount_hosts.app)

Host = Annotated[str, typer.Option("--host", help="Compute node.")]
Target = Annotated[str, typer.Option("--target", help="Backup target id.")]
Job = Annotated[int | None, typer.Option("--job", help="Backup job.")]
Cursor = Annotated[str, typer.Option("--cursor", help="next_cursor of the page before.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="At most so many.")]
Sort = Annotated[str, typer.Option("--sort", help="newest, oldest, host, target or job.")]
Mounted = Annotated[bool | None, typer.Option("--mounted/--unmounted", help="Only those.")]
Deleted = Annotated[bool | None, typer.Option("--deleted/--not-deleted", help="Only those.")]
Moment = Annotated[datetime | None, typer.Option(help="UTC, for example 2026-01-31T08:00:00.")]
File = Annotated[str, typer.Argument(metavar="FILE.json", help="The request; - reads stdin.")]


@app.command("active")
def active(
    host: Host = "",
    target: Target = "",
    job: Job = None,
    sort: Sort = "newest",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """What is mounted now."""
    filters = {"host": host, "target": target, "job": job, "mounted": True, "deleted": False}
    _list(filters, sort, cursor, limit, environment, json)


@app.command("history")
def history(
    host: Host = "",
    target: Target = "",
    job: Job = None,
    mounted: Mounted = None,
    deleted: Deleted = None,
    since: Moment = None,
    until: Moment = None,
    sort: Sort = "newest",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """All entries, soft-deleted ones included."""
    filters = {
        "host": host,
        "target": target,
        "job": job,
        "mounted": mounted,
        "deleted": deleted,
        "since": since,
        "until": until,
    }
    _list(filters, sort, cursor, limit, environment, json)


@app.command("orphans")
def orphans(
    host: Host = "",
    target: Target = "",
    job: Job = None,
    reason: Annotated[str, typer.Option("--reason", help="Only this kind of evidence.")] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Mounted entries with evidence against them, gathered now."""
    from backend.mounts import orphans
    from backend.mounts.schemas import Filters

    page = cli.read(
        orphans.find_now,
        environment=environment,
        filters=Filters(host=host, target=target, job=job),
        reason=reason,
        cursor=cursor,
        limit=limit,
    )
    found = [(o, " ".join(o.evidence.values())) for o in page.items]
    rows = [[m.key, m.jobid, m.backup_target_id, m.host, why] for m, why in found]
    text = cli.table(["Entry", "Backup job", "Target", "Host", "Why"], rows)
    cli.emit(page, json, "\n".join(filter(None, [text, page.problem])))


@app.command("status")
def status(
    job: Annotated[int, typer.Argument(metavar="JOB", help="Backup job.")],
    target: TargetId,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """The job's entries for the target."""
    from backend.mounts import explorer
    from backend.mounts.errors import MountNotFound

    try:
        found = cli.read(explorer.status, environment=environment, job=job, target=target)
    except MountNotFound:
        cli.emit({"items": [], "next_cursor": None}, json)
        raise
    cli.emit(found, json, entries_table(found.items))


@app.command("operations")
def operations(
    host: Host = "",
    target: Target = "",
    job: Job = None,
    status: Annotated[str, typer.Option("--status", help="For example unknown.")] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Requests to DMS servers and what came of them."""
    from backend.mounts import explorer

    page = cli.read(
        explorer.list_operations,
        environment=environment,
        host=host,
        target=target,
        job=job,
        status=status,
        cursor=cursor,
        limit=limit,
    )
    rows = [
        [o.operation_id, o.action, o.jobid, o.backup_target_id, o.host, o.status, o.note]
        for o in page.items
    ]
    text = cli.table(
        ["Operation", "Action", "Backup job", "Target", "Host", "Status", "Note"], rows
    )
    cli.emit(page, json, text)


@app.command("mount")
@cli.may_wait
def mount_command(
    file: File,
    environment: Environment = None,
    json: cli.Json = True,  # noqa: ARG001 - the response is printed as JSON in any case
) -> None:
    """Mount what FILE.json asks for; prints the DMS response as JSON."""
    _operate("mount", environment, file=file)


@app.command("unmount")
@cli.may_wait
def unmount_command(
    file: File,
    environment: Environment = None,
    json: cli.Json = True,  # noqa: ARG001 - the response is printed as JSON in any case
) -> None:
    """Release what FILE.json names; prints the DMS response as JSON."""
    _operate("unmount", environment, file=file)


@app.command("recheck")
def recheck(
    operation_id: Annotated[str, typer.Argument(metavar="ID", help="From `mounts operations`.")],
    file: Annotated[
        str, typer.Option("--request", help="The original request: asks the server again.")
    ] = "",
    environment: Environment = None,
    json: cli.Json = True,  # noqa: ARG001 - the response is printed as JSON in any case
) -> None:
    """Find out what became of an operation whose outcome is unknown."""
    _operate("recheck", environment, file=file, operation_id=operation_id)


@app.command("verify")
@cli.may_wait
def verify(
    job: Annotated[int, typer.Argument(metavar="JOB", help="Backup job.")],
    target: TargetId,
    host: Annotated[str, typer.Option("--host", help="Where the job has several.")] = "",
    file: Annotated[
        str, typer.Option("--request", help="The complete request; without it, the template's.")
    ] = "",
    token: KeystoneToken = "",
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Ask the DMS server whether an entry is true; the host is set right if it is not."""
    from backend.mounts import actions

    response = cli.call(
        actions.verify,
        environment=environment,
        job=job,
        target=target,
        host=host,
        request=_read(file) if file else None,
        keystone_token=cli.text_of(token).strip() if token else "",
    )
    cli.emit(response, json, response["finding"])
    if response["verdict"] == "unsettled":
        raise cli.Failed(response["finding"])


@app.command("delete")
@cli.may_wait
def delete(
    job: Annotated[int, typer.Argument(metavar="JOB", help="Backup job.")],
    target: TargetId,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Soft-delete the job's entries of the target; refused while one is mounted."""
    from backend.mounts import actions

    count = cli.call(actions.delete, environment=environment, job=job, target=target)
    cli.emit(
        {"deleted": count}, json, f"{counted(count, 'entry is', 'entries are')} marked deleted."
    )


@app.command("export")
def export(
    host: Host = "",
    target: Target = "",
    job: Job = None,
    mounted: Mounted = None,
    deleted: Deleted = None,
    since: Moment = None,
    until: Moment = None,
    everything: Annotated[bool, typer.Option("--all", help="Unmounted entries too.")] = False,
    environment: Environment = None,
) -> None:
    """Entries as CSV on stdout, active ones unless more is asked for; formulas are made text."""
    from backend.mounts import explorer
    from backend.mounts.schemas import Filters

    if not everything and mounted is None and deleted is None:
        mounted, deleted = True, False
    filters = Filters(host, target, job, mounted, deleted, since, until)
    with cli.unit_read() as (session, actor):
        pieces = explorer.export_csv(session, actor, environment=environment, filters=filters)
        for piece in pieces:
            with cli.printing():  # not `say`, which takes control characters out
                sys.stdout.write(piece)
                sys.stdout.flush()


@app.command("scan")
def scan(environment: Environment = None, json: cli.Json = False) -> None:
    """Look for orphans now and keep the result for the Overview."""
    from backend.mounts import orphans

    watch = cli.call(orphans.scan, environment=environment)
    many = counted(watch.active, "active mount")
    text = f"{many}, {watch.orphans} of them with evidence against them. {watch.problem}".strip()
    cli.emit(watch, json, text)


@app.command("max-age")
def max_age(
    hours: Annotated[
        int, typer.Argument(metavar="HOURS", min=1, help="An older mount is an orphan.")
    ],
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """From how many hours on a mount counts as too old (24 unless set)."""
    from backend.mounts import orphans

    watch = cli.write(orphans.set_max_age, environment=environment, hours=hours)
    cli.emit(watch, json, f"Mounts older than {watch.max_age_hours} h are reported.")


def _list(
    filters: dict[str, Any],
    sort: str,
    cursor: str,
    limit: int,
    environment: str | None,
    as_json: bool,
) -> None:
    from backend.mounts import explorer
    from backend.mounts.schemas import Filters

    page = cli.read(
        explorer.list_mounts,
        environment=environment,
        filters=Filters(**filters),
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    more = f"\nMore: --cursor {page.next_cursor}" if page.next_cursor else ""
    cli.emit(page, as_json, entries_table(page.items) + more)


def _operate(kind: Any, environment: str | None, *, file: str, **arguments: Any) -> None:
    """Run and print the response, whatever it says; a failed one ends with exit status 1."""
    from backend.dms.errors import DMSClientException
    from backend.mounts import actions
    from backend.mounts.errors import ClientError

    try:
        request = _read(file) if file else None
        response = cli.call(
            actions.run, environment=environment, kind=kind, request=request, **arguments
        )
    except ClientError as exc:
        response = exc.response
    except PortalError as exc:
        if kind == "recheck":
            raise  # what became of the operation stays as it was
        # A refusal (4xx) comes before anything is sent; of the rest nobody knows here.
        outcome = "not_delivered" if exc.status < HTTPStatus.INTERNAL_SERVER_ERROR else "unknown"
        response = DMSClientException(exc.message, outcome=outcome).response
    cli.emit(response, True)
    if response["status"] != "success":
        raise cli.Failed(response["error_msg"] or "The DMS server gave no reason.")


def _read(file: str) -> dict[str, Any]:
    text = cli.text_of(file)
    try:
        document = json_module.loads(text)
    except ValueError as exc:
        raise InvalidInput(f"{file} is not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise InvalidInput(f"{file} must hold one JSON object, the mount request.")
    return document
