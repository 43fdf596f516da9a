"""`python -m backend mounts targets`."""

from typing import Annotated, Literal

import typer

from backend.cli import common as cli

app = cli.new_app("Target templates: what can be mounted by name.")

Environment = Annotated[
    str | None, typer.Option("--environment", "-e", help="Default: the default one.")
]
TargetId = Annotated[str, typer.Argument(metavar="TARGET", help="Backup target id.")]


@app.command("list")
def list_targets(environment: Environment = None, json: cli.Json = False) -> None:
    """The templates of an environment, and what else can be mounted by name."""
    from backend.mounts import targets

    with cli.unit_read() as (session, actor):
        found = targets.list_targets(session, actor, environment=environment)
        more = "" if json else targets.known_besides(session, actor, environment=environment)
    rows = [[t.target_id, t.type, t.mount_path, t.filesystem_export] for t in found]
    table = cli.table(["Target", "Type", "Path", "Export"], rows) if rows else "No template."
    cli.emit({"items": found}, json, f"{table}\n{more}".rstrip())


@app.command("set")
@cli.may_wait
def set_target(
    target_id: TargetId,
    type: Annotated[Literal["s3", "nfs"], typer.Option("--type", help="What it is.")],
    mount_path: Annotated[str, typer.Option("--mount-path", help="Where hosts mount it.")],
    filesystem_export: Annotated[str, typer.Option("--export", help="nfs: host:/path")] = "",
    nfs_mount_opts: Annotated[str, typer.Option("--options", help="nfs: mount options.")] = "",
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Make or change a template; for s3 the secret reference is read from stdin."""
    from backend.mounts import targets

    secret = cli.read_secret("secret reference") if type == "s3" else ""
    view = cli.write(
        targets.save,
        environment=environment,
        target_id=target_id,
        type=type,
        mount_path=mount_path,
        filesystem_export=filesystem_export,
        nfs_mount_opts=nfs_mount_opts,
        secret_ref=secret,
    )
    cli.emit(view, json, f"{view.target_id} can be mounted by name.")


@app.command("remove")
@cli.may_wait
def remove_target(target_id: TargetId, environment: Environment = None) -> None:
    """Forget a template; mounts are not touched."""
    from backend.mounts import targets

    cli.write(targets.remove, environment=environment, target_id=target_id)
