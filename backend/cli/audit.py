"""`python -m backend audit`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.accounts import audit_log
from backend.accounts.audit_log import AuditFilter
from backend.cli import common as cli
from backend.cli.common import Failed, Json, Yes, new_app
from backend.core import clock
from backend.core.errors import InvalidInput

app = new_app("The audit log.")


By = Annotated[str, typer.Option("--by", help="Exactly this name.")]
Action = Annotated[str, typer.Option("--action", help="An action or the beginning of one.")]
About = Annotated[str, typer.Option("--about", help="A part of what it was about.")]
Outcome = Annotated[str, typer.Option("--outcome", help="succeeded, failed, refused …")]
Since = Annotated[str, typer.Option("--since", help="From this time on, UTC unless it says else.")]
Until = Annotated[str, typer.Option("--until", help="Before this time.")]


@app.command("list")
def list_(
    by: By = "",
    action: Action = "",
    about: About = "",
    outcome: Outcome = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[
        int, typer.Option(min=1, max=audit_log.MAX_PAGE, help="At most so many.")
    ] = 50,
    cursor: Annotated[int | None, typer.Option(help="next_cursor of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """Events, newest first."""
    filters = _filters(by, action, about, outcome, since, until)
    page = cli.read(audit_log.list_events, filters=filters, before=cursor, limit=limit)
    rows = [
        [row.number, row.at, row.actor_name, row.sentence, row.action, row.outcome or row.phase]
        for row in page.items
    ]
    text = cli.table(["No.", "WHEN", "BY", "WHAT", "ACTION", "OUTCOME"], rows)
    cli.emit(page, as_json, text + cli.more(page.next_cursor))


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The number `list` shows.")],
    as_json: Json = False,
) -> None:
    """One event with its details."""
    row = cli.read(audit_log.get, number=number)
    apart = {"at", "details", "changes", "sentence"}
    lines = [row.sentence]
    lines += [f"- {each.field}: {each.old}\n+ {each.field}: {each.new}" for each in row.changes]
    lines.append(f"at: {clock.iso(row.at)}")
    lines += [f"{name}: {value}" for name, value in row.model_dump(exclude=apart).items()]
    lines.append(f"details: {json.dumps(row.details, ensure_ascii=False, indent=2)}")
    cli.emit(row, as_json, "\n".join(lines))


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
    found = cli.read(audit_log.verify, full=full, against=kept)
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


@app.command("verify-archive")
def verify_archive(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Files of archive/ in the data folder.")
    ],
    as_json: Json = False,
) -> None:
    """Check files of old rows: signature, of events also chain and that the log went on."""
    with cli.unit_read() as (session, actor):
        found = [audit_log.verify_archive(session, actor, path=path) for path in files]
    lines = [
        f"{piece.file}: {piece.table} {piece.first} to {piece.last} are whole." for piece in found
    ]
    cli.emit({"items": found}, as_json, "\n".join(lines))


@app.command("export")
def export(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A new file; keep it on another machine. Left out: the text on stdout.",
        ),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="The matching events as CSV instead of the digest.")
    ] = False,
    by: By = "",
    action: Action = "",
    about: About = "",
    outcome: Outcome = "",
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
) -> None:
    """Write a signed digest of the log for `audit verify --against FILE`, or events as CSV."""
    filters = _filters(by, action, about, outcome, since, until)
    if not events and filters != AuditFilter():
        raise InvalidInput("A digest is of the whole log; filters need --events.")
    if events and as_json and file is None:
        raise InvalidInput("Events are CSV: name a FILE, or leave --json out.")
    with cli.unit_write() as (session, actor):
        if events:
            made = audit_log.export_csv(session, actor, filters=filters)
            text, count, truncated = made.text, made.rows, made.truncated
        else:
            found = audit_log.digest(session, actor)
            text, truncated = json.dumps(found, indent=1), False
            count = max(map(int, found["rows"]), default=0)
        if file:
            _write(file, text)
    if file is None:
        cli.say(text)
        if truncated:
            typer.echo("There are more: narrow the filters.", err=True)
        return
    what = "events" if events else f"the digest of {count} events"
    said = f"Wrote {count if events else ''} {what} to {file}.".replace("  ", " ")
    if truncated:
        said += " There are more: narrow the filters."
    document = {"file": str(file), "events": count, "truncated": truncated, "digest": not events}
    cli.emit(document, as_json, said)


@app.command("accept")
def accept(yes: Yes = False) -> None:
    """Let the checkpoint vouch for the log as it is now, after you looked into what verify said."""
    cli.confirm("The present audit log counts as the true one from now on. Go on?", yes=yes)
    cli.write(audit_log.accept)
    cli.emit(None, False, "The checkpoint vouches for the log as it is now.")


def _filters(by: str, action: str, about: str, outcome: str, since: str, until: str) -> AuditFilter:
    return AuditFilter(
        actor=by,
        action=action,
        subject=about,
        outcome=outcome,
        since=clock.parse(since) if since else None,
        until=clock.parse(until) if until else None,
    )


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(text)
    except OSError as exc:
        raise InvalidInput(f"{file} cannot be written ({exc.strerror}).") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise InvalidInput(f"{path} cannot be read as a digest ({type(exc).__name__}).") from exc
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is not a digest.")
    return found
