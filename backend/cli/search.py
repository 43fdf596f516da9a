"""`python -m backend search`: what the portal knows by a part of its name."""

from typing import Annotated

import typer

from backend.cli import common as cli
from backend.cli.common import Json, emit
from backend.search import service


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Part of a name, or a number.")],
    json: Json = False,
) -> None:
    """Find datasets, people, hosts, connections, runs, changes and accounts."""
    found = cli.read(service.find, text=text)
    rows = [[hit.kind, hit.title, hit.detail] for hit in found.items]
    text = cli.table(["Kind", "Name", "More"], rows) if rows else "Nothing found."
    emit({"items": found.items}, json, text)
