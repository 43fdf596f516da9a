"""`python -m backend environments`: list, add, rename, default, remove."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.cli import common
from backend.cli.common import Json, Yes, emit, new_app
from backend.cli.connections import read_file
from backend.connections import environments
from backend.connections.schemas import EnvironmentView
from backend.core import clock
from backend.core.trust import MAX_PEM
from backend.sandbox import control

app = new_app("Named sets of connections; one is the default.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The environment's name.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List all environments, the default one first."""
    found = common.read(environments.list_all)
    rows = [
        [item.name, "yes" if item.is_default else "", _marks(item), item.updated_by]
        for item in found
    ]
    text = common.table(["NAME", "DEFAULT", "MARKS", "CHANGED BY"], rows)
    if not found:
        text = "No environment yet. Add one: environments add NAME"
    emit({"environments": [_document(item) for item in found]}, json, text)


@app.command("add")
def add(
    name: Name,
    default: Annotated[bool, typer.Option("--default", help="Make it the default one.")] = False,
    production: Annotated[
        bool, typer.Option("--production", help="Dangerous actions ask for more.")
    ] = False,
    json: Json = False,
) -> None:
    """Add an environment; the first one beside the sandbox becomes the default."""
    made = common.write(environments.add, name=name, default=default, is_production=production)
    suffix = f" {environments.DEFAULT_MEANS}" if made.is_default else ""
    emit(_document(made), json, f"Added environment '{made.name}'.{suffix}")


@app.command("rename")
def rename(
    name: Name,
    new_name: Annotated[
        str, typer.Argument(metavar="NEW_NAME", help="What it is called from now on.")
    ],
    json: Json = False,
) -> None:
    """Give an environment another name; its connections stay."""
    with common.unit_write() as (session, actor):
        seen = environments.get(session, actor, name=name)
        made = environments.update(
            session, actor, name=name, version=seen.version, new_name=new_name
        )
    emit(_document(made), json, f"'{seen.name}' is now '{made.name}'.")


@app.command("production")
def production_(
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Take the mark away.")] = False,
    json: Json = False,
) -> None:
    """Mark an environment as production: dangerous actions ask for more."""
    made = common.write(environments.update, name=name, is_production=not off)
    word = "production now" if made.is_production else "no production any more"
    emit(_document(made), json, f"'{made.name}' is {word}.")


@app.command("default")
def default_(name: Name, json: Json = False) -> None:
    """Make an environment the default one."""
    made = common.write(environments.make_default, name=name)
    emit(_document(made), json, f"'{made.name}' is the default environment.")


@app.command("trust")
@common.may_wait
def trust_(
    name: Name,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="PEM file of authorities, instead of those given before."),
    ] = None,
    clear_ca: Annotated[bool, typer.Option("--clear-ca", help="Forget those.")] = False,
    verify: Annotated[
        bool | None, typer.Option("--verify/--no-verify", help="Check certificates at all.")
    ] = None,
    json: Json = False,
) -> None:
    """Whose TLS certificates the environment's connections trust, beside the machine's.

    Without options: show it. With --no-verify whoever is between can pose as any server.
    """
    ca = (
        ""
        if clear_ca
        else read_file("the authorities", str(ca_file), most=MAX_PEM)
        if ca_file
        else None
    )
    with common.unit_write() as (session, actor):
        if ca is None and verify is None:
            made = environments.get(session, actor, name=name)
        else:
            made = environments.set_trust(session, actor, name=name, ca=ca, verify=verify)
    emit(_document(made), json, _trusted(made))


def _trusted(item: EnvironmentView) -> str:
    own = "".join(f"\n  {subject}" for subject in item.authorities)
    beside = f" and of:{own}" if own else "."
    if not item.trust.verify:
        return f"'{item.name}' verifies NO certificate; whoever is between can read along."
    return f"'{item.name}' trusts certificates of this machine's authorities{beside}"


@app.command("remove")
@common.may_wait
def remove(name: Name, yes: Yes = False) -> None:
    """Delete an environment with all that belongs to it: connections, ingestion rules, schedules …

    With the sandbox's its servers end, too, and it does not come back by itself.
    NAME has to be written exactly. At a terminal it is asked for once more.
    """
    seen = common.read(environments.get, name=name)
    typed = name
    if not yes and sys.stdin.isatty():
        held = common.read(environments.belongings, name=name) or "nothing in it"
        typed = typer.prompt(f"This deletes '{seen.name}' with {held}. Type its name again")
    common.call(control.remove, name=name, confirm_name=typed)
    lost = " There is no default environment now: choose one." if seen.is_default else ""
    emit(None, False, f"Removed environment '{seen.name}'.{lost}")


def _marks(item: EnvironmentView) -> str:
    marks = (("sandbox", item.is_sandbox), ("production", item.is_production))
    return ", ".join(word for word, holds in marks if holds)


def _document(item: EnvironmentView) -> dict[str, object]:
    return {
        "name": item.name,
        "is_default": item.is_default,
        "is_sandbox": item.is_sandbox,
        "is_production": item.is_production,
        "verify_tls": item.trust.verify,
        "authorities": list(item.authorities),
        "updated_at": clock.iso(item.updated_at),
        "updated_by": item.updated_by,
    }
