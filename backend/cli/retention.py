"""`python -m backend retention`."""

from typing import Annotated

import typer

from backend.cli import common as cli
from backend.cli.common import Json, Yes
from backend.jobs import retention as service
from backend.jobs.answers import RetentionList, RetentionRun

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would leave; change nothing.")]


def retention(dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Remove rows that were kept long enough, audit events, jobs and runs into signed archives."""
    found = cli.read(service.show)
    if dry_run:
        cli.emit(found, json, _table(found))
        return
    due = sum(rule.due for rule in found.items)
    cli.confirm(f"Remove {due:,} rows now? `retention --dry-run` lists them by table.", yes=yes)
    removed = cli.call(service.run)
    said = [f"{table}: {count:,} rows left." for table, count in removed.items()]
    cli.emit(RetentionRun(removed=removed), json, "\n".join(said) or "No row is old enough.")


def _table(found: RetentionList) -> str:
    rows = [[rule.table, rule.due, rule.setting or "", rule.kept] for rule in found.items]
    return cli.table(["TABLE", "WOULD LEAVE", "SETTING", "KEPT"], rows)
