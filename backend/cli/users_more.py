"""`python -m backend users`: everything beside plan, apply and revert."""

from pathlib import Path
from typing import Annotated

import typer

from backend.cli import common as cli
from backend.cli.users import app, refusals_printed, see_through
from backend.core.words import counted
from backend.user_sync import answers, service
from backend.user_sync.schemas import SettingsView
from backend.user_sync.validation import visible

__all__ = ["app"]

Env = Annotated[str, typer.Argument(metavar="ENV", help="The environment's name.")]
Cursor = Annotated[
    int | None, typer.Option("--cursor", help="next_cursor of the page before.", min=0)
]
RunId = Annotated[int, typer.Argument(metavar="RUN_ID", help="The number of the run.")]


@app.command("try")
def try_command(environment: Env, json: cli.Json = False) -> None:
    """Ask the directory for ten people and show how they are read; keeps nothing."""
    found = cli.call(service.try_it, environment=environment)
    people = [
        [p.email, visible(p.display_name), ", ".join(p.domains), p.refused or "ok"]
        for p in found.people
    ]
    cli.emit(found, json, cli.table(["E-MAIL", "NAME", "DOMAINS", "READ AS"], people))


@app.command("presets")
def presets_command(environment: Env, json: cli.Json = False) -> None:
    """Queries with mappings that fit the directory's GraphQL schema, where it may be read."""
    found = cli.call(service.suggest, environment=environment)
    text = "\n\n".join(
        f"{p.label}\n  query={p.query}\n  mapping={p.mapping}\n  paging={p.paging}" for p in found
    )
    cli.emit({"items": found}, json, text or "Nothing in the schema lists people with an e-mail.")


@app.command("preflight")
def preflight_command(environment: Env, json: cli.Json = False) -> None:
    """What the portal may do at this OpenMetadata, found out without changing anything."""
    found = cli.call(service.preflight, environment=environment)
    cli.emit(found, json, "\n".join(f"{label}: {said}" for label, said in found.told()))
    if not found.sees_emails:
        raise cli.Failed(found.warnings[0])


@app.command("upload")
def upload_command(
    environment: Env,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="CSV or JSON.")
    ],
    json: cli.Json = False,
) -> None:
    """Keep a CSV or JSON file of people as the directory of an environment."""
    found = cli.write(
        service.upload, environment=environment, name=file.name, content=file.read_bytes()
    )
    cli.emit(found, json, f"{counted(found.people, 'person', 'people')} kept for {environment}.")


@app.command("ignore")
def ignore_command(
    plan_id: Annotated[int, typer.Argument(metavar="PLAN_ID", help="The number of the plan.")],
    email: Annotated[str, typer.Option("--email", help="Whose difference.")],
    field: Annotated[str, typer.Option("--field", help="displayName, domains …")],
    reason: Annotated[str, typer.Option("--reason", help="Why; others will read it.")],
    json: cli.Json = False,
) -> None:
    """Ignore a difference until either side changes; it leaves the plan at once."""
    plan = cli.write(service.ignore, plan_id=plan_id, email=email, field=field, reason=reason)
    cli.emit(answers.Plan.of(plan), json, f"Ignored; plan {plan.id}: {plan.told}.")


@app.command("ignored")
def ignored_command(
    environment: Env,
    forget: Annotated[
        int | None, typer.Option("--forget", help="Number of one to compare again.")
    ] = None,
    cursor: Cursor = None,
    json: cli.Json = False,
) -> None:
    """The ignored differences of an environment; --forget compares one again."""
    if forget is not None:
        cli.write(service.forget_ignore, ignore_id=forget)
    found = cli.read(service.list_ignores, environment=environment, before=cursor)
    rows = [
        [i.id, i.email, i.field, visible(i.difference), i.author, i.reason] for i in found.items
    ]
    head = ["NUMBER", "E-MAIL", "FIELD", "DIFFERENCE", "BY", "REASON"]
    cli.emit(found, json, cli.table(head, rows) + cli.more(found.next_cursor))


@app.command("cancel")
def cancel_command(run_id: RunId, json: cli.Json = False) -> None:
    """Ask a run to stop between two users."""
    run = cli.write(service.cancel, run_id=run_id)
    cli.emit(answers.Run.of(run), json, f"Run {run.id} is asked to stop; it is {run.state} now.")


@app.command("resume")
def resume_command(run_id: RunId, json: cli.Json = False) -> None:
    """Go on with a run that stopped, was cancelled or lost its process."""
    with refusals_printed(None, json), cli.unit_write() as (session, who):
        run = service.resume(session, who, run_id=run_id, background=False)
    see_through(run, json)


@app.command("settings")
def settings_command(
    environment: Env,
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")
    ] = None,
    json: cli.Json = False,
) -> None:
    """Show how an environment plans and applies, or change some of it."""
    view = _settings(environment, _pairs(given or []))
    options = vars(view.settings).items()
    cli.emit(view, json, "\n".join(f"{name}={_plain(value)}" for name, value in options))


@app.command("schedule")
def schedule_command(
    environment: Env,
    cron: Annotated[
        str | None, typer.Argument(metavar="[CRON]", help='Five fields, UTC; "off" ends it.')
    ] = None,
    apply: Annotated[
        bool | None, typer.Option("--apply/--no-apply", help="Also apply, up to the limit.")
    ] = None,
    json: cli.Json = False,
) -> None:
    """Show or set when plans are made without anybody asking."""
    changes: dict[str, str] = {}
    if cron is not None:
        changes["plan_cron"] = "" if cron == "off" else cron
        if cron == "off":
            changes["apply_on_schedule"] = "false"
    if apply is not None:
        changes["apply_on_schedule"] = str(apply).lower()
    view = _settings(environment, changes)
    planned = view.settings.plan_cron or "never"
    applied = ", applied up to the limit" if view.settings.apply_on_schedule else ""
    due = f"; next {view.next_plan_at:%Y-%m-%d %H:%M} UTC" if view.next_plan_at else ""
    cli.emit(view, json, f"Planned by schedule: {planned}{applied}{due}.")


@app.command("map")
def map_command(
    environment: Env,
    said: Annotated[str, typer.Argument(metavar="[SAID]", help="The directory's word.")] = "",
    domain: Annotated[
        str, typer.Argument(metavar="[DOMAIN]", help="Full name of the domain meant.")
    ] = "",
    end: Annotated[int | None, typer.Option("--end", help="Number of a mapping to end.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Ended ones, too.")] = False,
    choices: Annotated[
        bool, typer.Option("--choices", help="The domains of OpenMetadata instead.")
    ] = False,
    cursor: Cursor = None,
    json: cli.Json = False,
) -> None:
    """Which domain is meant by what the directory says: show, add, end."""
    if choices:
        names = cli.call(service.list_domains, environment=environment)
        return cli.emit({"items": names}, json, "\n".join(names))
    if end is not None:
        cli.write(service.unmap_domain, map_id=end)
    if said:
        cli.write(service.map_domain, environment=environment, said=said, domain=domain)
    found = cli.read(
        service.list_domain_map, environment=environment, history=history, before=cursor
    )
    rows = [[m.id, m.said, m.domain, m.created_by, m.created_at, m.ended_at] for m in found.items]
    head = ["NUMBER", "SAID", "DOMAIN", "BY", "SINCE", "ENDED"]
    cli.emit(found, json, cli.table(head, rows) + cli.more(found.next_cursor))


@app.command("leavers")
def leavers_command(
    plan_id: Annotated[int, typer.Argument(metavar="PLAN_ID", help="The number of the plan.")],
    cursor: Cursor = None,
    json: cli.Json = False,
) -> None:
    """Users of OpenMetadata whom the directory did not name when a plan was made, with last login
    and what they own; to look at only, nothing is ever done to them."""
    found = cli.call(service.leavers, plan_id=plan_id, offset=cursor or 0, limit=1_000)
    rows = [[x.email, x.user_name, x.kind, x.last_login, x.owns, x.reason] for x in found.items]
    head = ["E-MAIL", "USER", "KIND", "LAST LOGIN", "OWNS", "REASON"]
    cli.emit(found, json, cli.table(head, rows) + cli.more(found.next_cursor))


def _settings(environment: str, changes: dict[str, str]) -> SettingsView:
    """The settings, after the changes if there are any."""
    if changes:
        return cli.write(service.change_settings, environment=environment, changes=changes)
    return cli.read(service.get_settings, environment=environment)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in given]
    bad = [name for name, equals, _ in pairs if not equals]
    if bad:
        raise typer.BadParameter(f"write KEY=VALUE, not {', '.join(bad)}")
    return {name: value for name, _, value in pairs}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
