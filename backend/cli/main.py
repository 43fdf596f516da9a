"""The command line's table of contents."""

import typer

from backend import composition
from backend.cli import system
from backend.cli.common import new_app, run

app = new_app(
    "Steward Portal: every job of the portal from the command line, on the state that "
    "PORTAL_DATA_DIR or PORTAL_DATABASE_URL names. `init` makes a new one, and so does any "
    "command with --create."
)


def _add(name: str, command: object) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    elif callable(command):
        app.command(name)(command)


composition.install()
for domain in composition.DOMAINS:
    for name, command in domain.commands().items():
        _add(name, command)
for name, own in system.COMMANDS.items():
    _add(name, own)


def main() -> int:
    """Run; returns the exit status."""
    return run(app)
