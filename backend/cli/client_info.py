"""`python -m backend refresh_client_info`: show or refresh DataHub client info."""

import json as json_module
from collections.abc import Sequence
from typing import Annotated

import typer

from backend.cli import common
from backend.cli.common import Json, emit
from backend.connections import client_info, client_info_admin, resolve
from backend.connections.client_info import Refresh
from backend.connections.client_info_admin import EDITABLE
from backend.connections.schemas import ClientInfoView
from backend.core import clock


def refresh_client_info(
    all_: Annotated[bool, typer.Option("--all", help="Refresh every environment.")] = False,
    environment: Annotated[
        str | None, typer.Option("--environment", metavar="NAME", help="Refresh this one.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print every detail.")] = False,
    json: Json = False,
) -> None:
    """Refresh DataHub client info; without --all or --environment show what is stored."""
    if all_ and environment:
        raise typer.BadParameter("Use --all or --environment, not both.")
    database, actor = common.database(), common.actor()
    ended: Sequence[Refresh] = ()
    if all_:
        ended = client_info.refresh_all(database, actor)
    elif environment:
        ended = (client_info.refresh(database, actor, environment=environment),)
    views = database.ask(client_info.list_all, actor)
    wanted = {item.environment for item in ended} or {item.environment for item in views}
    shown = [item for item in views if item.environment in wanted]
    lines = [_ended_line(item) for item in ended]
    if verbose or not ended:
        lines += [line for item in shown for line in _status_lines(item, verbose)]
    emit(_document(shown, ended), json, "\n".join(lines))
    _finish(ended, asked=bool(environment))
    if not shown:
        database.ask(resolve.environment)  # raises "No default environment found" with what to do


def _finish(ended: Sequence[Refresh], *, asked: bool) -> None:
    """Exit status 1 for what failed, and for a named environment that has nothing to ask."""
    failed = [item.environment for item in ended if item.outcome == "failed"]
    if failed:
        raise common.Failed(f"Failed to refresh client info of {', '.join(failed)}.")
    if asked and ended[0].outcome == "skipped":
        raise common.Failed(f"Environment '{ended[0].environment}' has no DataHub connection.")


def _ended_line(item: Refresh) -> str:
    match item.outcome:
        case "refreshed":
            return f"{item.environment}: refreshed, client id {item.client_id}"
        case "skipped":
            return f"{item.environment}: skipped, {item.error}"
        case _:
            return f"{item.environment}: failed, {item.error}"


def _status_lines(item: ClientInfoView, verbose: bool) -> list[str]:
    mark = " (stale)" if item.stale and item.connection_status != "unknown" else ""
    lines = [f"{item.environment}: {item.connection_status}{mark}"]
    details = [
        ("client_id", item.client_id),
        ("server_id", item.server_id),
        ("frontend_base_url", item.frontend_base_url),
        ("error_message", item.error_message),
        ("last_connection_test", clock.to_the_second(item.last_connection_test)),
        ("last_updated", clock.to_the_second(item.last_updated)),
    ]
    if verbose:
        details += [
            ("created_at", clock.to_the_second(item.created_at)),
            ("failing_since", clock.to_the_second(item.failing_since)),
            ("server_config", json_module.dumps(dict(item.server_config), ensure_ascii=False)),
        ]
    return lines + [f"  {name}: {value}" for name, value in details if value]


def _document(views: Sequence[ClientInfoView], ended: Sequence[Refresh]) -> dict[str, object]:
    return {
        "refreshed": list(ended),
        "environments": [client_info.document(item) for item in views],
    }


app = common.new_app("DataHub client info of every environment: find, correct, delete.")
Environment = Annotated[str, typer.Argument(metavar="ENV", help="The environment's name.")]


@app.command("list")
def list_(
    search: Annotated[str, typer.Option("--search", help="Part of an id or a name.")] = "",
    status: Annotated[str, typer.Option("--status", help="connected, failed or unknown.")] = "",
    environment: Annotated[
        str, typer.Option("--environment", metavar="NAME", help="Of this one only.")
    ] = "",
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Json = False,
) -> None:
    """What is stored for every environment that fits."""
    wanted = {"text": search, "status": status, "environment": environment}
    with common.unit_read() as (session, actor):
        found = client_info_admin.search(session, actor, **wanted)
        text = client_info_admin.export(session, actor, **wanted) if csv else None
    lines = [line for item in found for line in _status_lines(item, verbose=False)]
    emit(_document(found, ()), json, text or "\n".join(lines) or "No environment fits.")


@app.command("edit")
def edit(
    environment: Environment,
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE …", help=", ".join(EDITABLE))],
    json: Json = False,
) -> None:
    """Correct client_id, server_id or frontend_base_url by hand; it is marked and audited."""
    wrong = [pair for pair in values if "=" not in pair]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not NAME=VALUE.")
    wanted = dict(pair.split("=", 1) for pair in values)
    item = common.write(client_info_admin.edit, environment=environment, values=wanted)
    emit(client_info.document(item), json, f"Client info of {item.environment} is changed.")


@app.command("delete")
def delete(environment: Environment, yes: common.Yes = False, json: Json = False) -> None:
    """Forget what is stored; the next successful test brings it back."""
    common.confirm(f"Delete the client info of {environment}?", yes=yes)
    common.write(client_info_admin.remove, environment=environment)
    emit({"environment": environment}, json, f"Client info of {environment} is deleted.")
