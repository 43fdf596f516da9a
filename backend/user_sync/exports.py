"""Plans and runs as CSV, safe to open in a spreadsheet."""

from collections.abc import Iterable

from backend.core import csv_export
from backend.core.clock import iso
from backend.user_sync.fields import DOMAINS, TEXTS
from backend.user_sync.schemas import ItemView, RowView

_CHANGE = (
    "old display name",
    "new display name",
    "changes name",
    "old domains",
    "new domains",
    "changes domains",
    "inherited domains",
    *(f"{age} {text.label.lower()}" for text in TEXTS.values() for age in ("old", "new")),
)


def plan_csv(rows: Iterable[RowView]) -> str:
    """One line per directory user."""
    header = ("email", "user", "status", "reason", *_CHANGE)
    cells = ([r.email, r.user_name or "", r.kind, r.why(), *_change_cells(r)] for r in rows)
    return csv_export.write(header, cells)


def run_csv(items: Iterable[ItemView]) -> str:
    """One line per user of a run, with what was asked for and how it ended."""
    header = ("email", "user", "outcome", "reason", "stored", "finished at", *_CHANGE)
    return csv_export.write(header, (_item_cells(item) for item in items))


def _item_cells(item: ItemView) -> list[str]:
    return [
        item.email,
        item.row.user_name or "",
        item.state,
        item.reason,
        " ".join(item.stored),
        iso(item.finished_at) or "",
        *_change_cells(item.row),
    ]


def _change_cells(row: RowView) -> list[str]:
    domains = (row.old_domains, row.new_domains, row.inherited)
    old, new, inherited = ("; ".join(DOMAINS.document(refs)) for refs in domains)
    return [
        row.old_name or "",
        row.new_name or "",
        "yes" if row.sets_name else "",
        old,
        new,
        "yes" if row.sets_domains else "",
        inherited,
        *(text or "" for name in TEXTS for text in row.texts.get(name, ("", ""))),
    ]
