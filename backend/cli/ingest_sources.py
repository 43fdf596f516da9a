"""`python -m backend ingest recipes` and `ingest sources`: what DataHub itself ingests."""

import time
from typing import Annotated, Any

import typer

from backend.cli import common as cli
from backend.core.errors import InvalidInput

recipes_app = cli.new_app("Recipes kept under data/recipes, run by DataHub's own command.")
sources_app = cli.new_app("Ingestion sources that DataHub manages and runs itself.")

Environment = Annotated[
    str | None, typer.Option("--environment", "-e", help="Default: the default one.")
]

Value = Annotated[
    list[str] | None, typer.Option("--value", metavar="KEY=VALUE", help="A variable's value.")
]
Secret = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="KEY", help="Read this variable's value from stdin."),
]


@recipes_app.command("list")
def list_recipes(json: cli.Json = False) -> None:
    """The recipes, what each asks for, and why one cannot be run here."""
    from backend.ingestion import recipes

    found, note = cli.read(recipes.list_recipes), cli.read(recipes.left_out)
    rows: list[list[Any]] = [
        [r.name, r.source_type, ", ".join(r.asked), r.problem or "-"] for r in found
    ]
    text = cli.table(["Recipe", "Source", "Asks for", "Cannot run because"], rows)
    document = {"items": [recipe.document() for recipe in found], "note": note}
    cli.emit(document, json, f"{text}\n{note}".rstrip())


@recipes_app.command("run")
@cli.may_wait
def run_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The recipe, or the source's URN.")],
    value: Value = None,
    secret: Secret = None,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Run a recipe here and wait for its end; a worker that is faster runs it instead."""
    from backend.ingestion import recipes

    values = _values(name, value or [], secret or [])
    job_id = cli.write(recipes.run_recipe, name=name, environment=environment, values=values)
    _follow(job_id, json)


@sources_app.command("list")
def list_sources(
    environment: Environment = None,
    start: Annotated[int, typer.Option("--start", min=0, help="Skip so many.")] = 0,
    json: cli.Json = False,
) -> None:
    """DataHub's sources with their schedule and last run."""
    from backend.ingestion import managed

    page = cli.call(managed.list_sources, environment=environment, start=start)
    rows: list[list[Any]] = [
        [s.name, s.type, s.schedule or "none", s.last_status or "never run", s.urn]
        for s in page.items
    ]
    cli.emit(
        page.document(), json, cli.table(["Source", "Type", "Schedule", "Last run", "URN"], rows)
    )


@sources_app.command("run")
@cli.may_wait
def run_source(
    urn: Annotated[str, typer.Argument(metavar="URN", help="The source's URN.")],
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Have DataHub run a source, and follow it to its end."""
    from backend.ingestion import managed

    job_id = cli.call(managed.run_source, source_urn=urn, environment=environment)
    _follow(job_id, json)


schedules_app = cli.new_app("Recipes and sources that start by themselves.")


@schedules_app.command("list")
def list_schedules(environment: Environment = None, json: cli.Json = False) -> None:
    """What starts by itself, the next one first."""
    from backend.ingestion import schedules

    found = cli.read(schedules.list_schedules, environment=environment)
    rows: list[list[Any]] = [
        [s.kind, s.name, s.cron, s.next_at, s.last_problem or s.last_job_id or "-", s.set_by]
        for s in found
    ]
    text = cli.table(["Kind", "Name", "Cron (UTC)", "Next", "Last run", "Set by"], rows)
    cli.emit({"items": [schedule.document() for schedule in found]}, json, text)


@schedules_app.command("set")
def put_schedule(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="recipe or source.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The recipe, or the source's URN.")],
    cron: Annotated[str, typer.Argument(metavar="CRON", help="Five fields, UTC.")],
    value: Value = None,
    secret: Secret = None,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Start a recipe or source at these times from now on."""
    from backend.ingestion import schedules

    values = _values(name, value or [], secret or [])
    view = cli.write(
        schedules.put_schedule,
        kind=kind,
        name=name,
        times=cron,
        values=values,
        environment=environment,
    )
    cli.emit(view.document(), json, f"{view.title}: {view.said()}.")


@schedules_app.command("remove")
def remove_schedule(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="recipe or source.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The recipe, or the source's URN.")],
    environment: Environment = None,
) -> None:
    """No longer start it by itself."""
    from backend.ingestion import schedules

    title = cli.write(schedules.remove_schedule, kind=kind, name=name, environment=environment)
    cli.say(f"{title} no longer starts by itself.")


def _values(name: str, given: list[str], secret: list[str]) -> dict[str, str]:
    """Of a recipe's variables; a secret is read from stdin."""
    from backend.ingestion import recipes

    with cli.unit_read() as (session, actor):
        known = {recipe.name: recipe for recipe in recipes.list_recipes(session, actor)}
    hidden = known[name].secret if name in known else frozenset()
    values = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise InvalidInput(f"--value takes KEY=VALUE, not {each!r}.")
        if key in hidden:
            raise InvalidInput(
                f"{key} is a secret and may not stand in the argument list, where others can read "
                f"it. Pipe it in with --secret {key}."
            )
        values[key] = value
    return values | {key: cli.read_secret(key) for key in secret}


def _follow(job_id: int, json: bool) -> None:
    """Run the queued job in this process, or wait for the worker that has it."""
    from backend.core.access import SYSTEM
    from backend.jobs import runner, service

    runner.run(job_id, cli.database())
    while True:
        with cli.database().read() as session:
            job = service.get(session, SYSTEM, job_id=job_id)
            lines = service.lines(session, SYSTEM, job_id=job_id)
        if job.ended:
            break
        time.sleep(1)
    document = {"job_id": job.id, "status": job.state, "error": job.error, "result": job.result}
    text = "\n".join([*(line.line for line in lines), f"Run {job.id} {job.state}."])
    cli.emit(document, json, text)
    if job.state != "succeeded":
        raise cli.Failed(job.error or f"Run {job.id} ended as {job.state}.")
