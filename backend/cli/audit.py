"""`python -m backend audit`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.accounts import audit_log
from backend.cli import common as cli
from backend.cli.common import Failed, Json, Yes, new_app
from backend.core.errors import InvalidInput

app = new_app("The audit log.")


@app.callback()
def _group() -> None:
    """The audit log."""


@app.command("verify")
def verify(
    full: Annotated[
        bool, typer.Option("--full", help="All rows, not from where a long log was last whole.")
    ] = False,
    against: Annotated[
        Path | None, typer.Option("--against", help="A digest that was kept elsewhere.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk the hash chain; exit status 1 and the first broken row when it does not hold."""
    kept = _read(against) if against else None
    with cli.unit_read() as (session, actor):
        found = audit_log.verify(session, actor, full=full, against=kept)
    document = {
        "ok": found.ok,
        "events": found.events,
        "first_broken": found.first_broken,
        "problem": found.problem,
    }
    cli.emit(
        document, as_json, f"The audit log is whole: {found.events} events." if found.ok else None
    )
    if not found.ok:
        raise Failed(
            f"The audit log was changed: {found.problem} (first broken row: {found.first_broken})."
        )


@app.command("export")
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file; keep it on another machine.")
    ],
) -> None:
    """Write a signed digest of the log, for `audit verify --against FILE`."""
    with cli.unit_write() as (session, actor):
        found = audit_log.digest(session, actor)
    try:
        with file.open("x", encoding="utf-8") as handle:
            json.dump(found, handle, indent=1)
    except OSError as exc:
        raise InvalidInput(f"{file} cannot be written ({exc.strerror}).") from exc
    cli.emit(None, False, f"Wrote the digest of {max(map(int, found['rows']), default=0)} events.")


@app.command("accept")
def accept(yes: Yes = False) -> None:
    """Let the checkpoint vouch for the log as it is now, after you looked into what verify said."""
    cli.confirm("The present audit log counts as the true one from now on. Go on?", yes=yes)
    with cli.unit_write() as (session, actor):
        audit_log.accept(session, actor)
    cli.emit(None, False, "The checkpoint vouches for the log as it is now.")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidInput(f"{path} cannot be read as a digest ({type(exc).__name__}).") from exc
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is not a digest.")
    return found
