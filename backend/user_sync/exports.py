"""Plans and runs as CSV, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

from backend.integrations.openmetadata.schemas import DomainRef
from backend.user_sync.schemas import ItemView, RowView

_PLAN = (
    "email",
    "user",
    "status",
    "reason",
    "old display name",
    "new display name",
    "changes name",
    "old domains",
    "new domains",
    "changes domains",
    "inherited domains",
)


def plan_csv(rows: Iterable[RowView]) -> str:
    """One line per directory user."""
    return _csv(_PLAN, (_row_cells(row) for row in rows))


def run_csv(items: Iterable[ItemView]) -> str:
    """One line per user of a run, with what was asked for and how it ended."""
    header = ("email", "user", "outcome", "reason", "stored", "finished at", *_PLAN[4:])
    return _csv(header, (_item_cells(item) for item in items))


def _row_cells(row: RowView) -> list[str]:
    return [row.email, row.user_name or "", row.kind, row.reason, *_change_cells(row)]


def _item_cells(item: ItemView) -> list[str]:
    return [
        item.email,
        item.row.user_name or "",
        item.state,
        item.reason,
        " ".join(item.stored),
        item.finished_at.isoformat() if item.finished_at else "",
        *_change_cells(item.row),
    ]


def _change_cells(row: RowView) -> list[str]:
    return [
        row.old_name or "",
        row.new_name or "",
        "yes" if row.sets_name else "",
        _names(row.old_domains),
        _names(row.new_domains),
        "yes" if row.sets_domains else "",
        _names(row.inherited),
    ]


def _csv(header: Sequence[str], lines: Iterable[list[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow([_defused(cell) for cell in line])
    return out.getvalue()


def _defused(cell: str) -> str:
    """A leading = + - @ tab or return would run as a formula; an apostrophe makes it text."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _names(refs: Sequence[DomainRef]) -> str:
    return "; ".join(ref.fqn for ref in refs)
