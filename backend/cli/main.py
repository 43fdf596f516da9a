"""The command line's table of contents."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import typer
import typer.core
import typer.main

from backend import composition
from backend.cli import system
from backend.cli.common import new_app, printing, program, run, unit_read
from backend.connections import environments
from backend.core.errors import PortalError

_NAMED = (typer.core.TyperArgument, typer.core.TyperOption)

app = new_app(
    "Steward Portal: every job of the portal from the command line, on the state that "
    "PORTAL_DATA_DIR or PORTAL_DATABASE_URL names. `init` makes a new one, and so does any "
    "command with --create."
)


def _add(name: str, command: object) -> None:
    if isinstance(command, typer.Typer):
        examples = [f"  {COMMAND_NAME} {line}" for line in EXAMPLES.get(name, ())]
        epilog = "\n\n".join(["Examples:", *examples]) if examples else None
        app.add_typer(command, name=name, epilog=epilog)
    elif callable(command):
        app.command(name)(command)


#: Of each group, what people do most; shown under its help.
EXAMPLES = {
    "environments": ("environments list", "environments add staging --production"),
    "connections": ("connections test prod datahub", "connections history prod datahub"),
    "client_info": ("client_info list",),
    "users": ("users plan prod", "users apply 41 --email ann@example.com", "users revert 7"),
    "mounts": ("mounts active --environment prod", "mounts orphans --environment prod"),
    "tokenize": ("tokenize list", "tokenize preview URN", "tokenize run URN"),
    "ingest": ("ingest run --dataset-urn URN", "ingest runs"),
    "jobs": ("jobs list --watch", "jobs show 12"),
    "alerts": ("alerts", "alerts seen KEY --account ann"),
    "changes": ("changes list", "changes approve 5"),
    "notifications": ("notifications list", "notifications test operators"),
    "accounts": ("accounts list", "accounts role ann steward"),
    "tokens": ("tokens add nightly --role operator", "tokens list"),
    "audit": ("audit list", "audit verify"),
    "secrets": ("secrets rotate",),
}
COMMAND_NAME = "steward"

composition.install()
for name, command in {**composition.commands(), **system.COMMANDS}.items():
    _add(name, command)


def _finish(command: Any) -> None:
    """What typer leaves out: names of environments, wherever a command asks for one, from the state
    at hand; and what becomes of its own output where stdout takes no more."""
    for inner in getattr(command, "commands", {}).values():
        _finish(inner)
    for parameter in command.get_params(typer.Context(command)):
        if parameter.name == "environment" and isinstance(parameter, _NAMED):
            parameter._custom_shell_complete = _environments
        if parameter.name in ("help", "show_completion"):
            parameter.callback = _printing(parameter.callback)


def _printing(show: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(show)
    def shown(*args: Any) -> Any:
        with printing():
            return show(*args)

    return shown


def _environments(_context: object, _parameter: object, incomplete: str) -> list[str]:
    """Nothing where there is no state yet, or none that this person may read."""
    try:
        with unit_read() as (session, actor):
            names = [item.name for item in environments.list_all(session, actor)]
    except PortalError:
        return []
    return [name for name in names if name.casefold().startswith(incomplete.casefold())]


@cache
def commands(completed: bool) -> Any:
    """All commands as click's, with those for the shell's completion or without.

    Typer reads the signature of each of them: longer than most commands take.
    """
    app._add_completion = completed
    command = typer.main.get_command(app)
    _finish(command)
    return command


def main() -> int:
    """Run; returns the exit status."""
    # `python -m backend` is no command that a shell completes.
    return run(commands(program() == "steward"))
