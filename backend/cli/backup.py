"""`python -m backend backup` and `restore`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from backend.backup import restoring, service
from backend.backup.schemas import Settled
from backend.cli import common as cli
from backend.cli.common import Failed, Json
from backend.core import log
from backend.core.database import get_database
from backend.core.errors import InvalidInput

Target = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")
]
KeysTarget = Annotated[
    Path | None,
    typer.Option("--keys", help="Also write the keys, to this file. Keep it apart."),
]
Source = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The file that `backup` wrote.")
]
KeysSource = Annotated[
    Path | None, typer.Option("--keys", help="The file with the keys that `backup` wrote.")
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Put it in place of a state that is there; that is kept.")
]
Done = Annotated[
    bool,
    typer.Option(
        "--done", help="No FILE: the server's own tool has put the state database back already."
    ),
]


def backup(file: Target, keys: KeysTarget = None, as_json: Json = False) -> None:
    """Write the whole state to FILE while the portal runs; without --keys no key is in it."""
    made = cli.call(service.make, target=file, keys=keys)
    manifest = made.manifest
    lines = [
        f"{made.path}: {made.size_bytes:,} bytes, {manifest.audit_events:,} audit events, "
        f"schema {manifest.revision}, secrets under key {manifest.key_id}."
    ]
    if made.keys is None:
        lines.append("It opens only with the portal's keys, which are not in it (--keys FILE).")
    else:
        lines.append(
            f"{made.keys}: the keys. Keep them apart from the backup: who has both can read every "
            "secret."
        )
    cli.emit(made, as_json, "\n".join(lines))


def restore(
    file: Source = None,
    keys: KeysSource = None,
    replace: Replace = False,
    done: Done = False,
    as_json: Json = False,
) -> None:
    """Put a backup back; the portal and its workers must be stopped."""
    if (file is None) != done:
        raise InvalidInput("Name the backup's file, or give --done alone.")
    log.configure("WARNING")
    database, actor = get_database(), cli.actor()
    if file is None:
        settled = restoring.settle(database, actor)
        document, lines = asdict(settled), []
    else:
        restored = restoring.restore(database, actor, source=file, keys=keys, replace=replace)
        settled = restored.settled
        document = asdict(restored)
        lines = [f"The state is that of {restored.manifest.made_at}."]
        if restored.kept:
            lines.append(f"What was there before is in {restored.kept}.")
    cli.emit(document, as_json, "\n".join(lines + _words(settled)))
    if not settled.chain.ok:
        raise Failed(f"The audit log of the backup is not whole: {settled.chain.problem}.")


def _words(settled: Settled) -> list[str]:
    return [
        f"Ended {settled.sessions_ended} sessions, {settled.jobs_interrupted} open jobs and "
        f"{settled.changes_ended} change requests of that time. Passwords, roles and API tokens "
        "are those of then: disable and revoke again what was disabled and revoked since.",
        f"The audit log is whole: {settled.chain.events} events."
        if settled.chain.ok
        else "The audit log is NOT whole.",
    ]
