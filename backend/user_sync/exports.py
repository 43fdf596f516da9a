"""Plans and runs as CSV, safe to open in a spreadsheet."""

from collections.abc import Iterable, Sequence

from backend.core import clock, csv_export
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
    return csv_export.write(_PLAN, (_row_cells(row) for row in rows))


def run_csv(items: Iterable[ItemView]) -> str:
    """One line per user of a run, with what was asked for and how it ended."""
    header = ("email", "user", "outcome", "reason", "stored", "finished at", *_PLAN[4:])
    return csv_export.write(header, (_item_cells(item) for item in items))


def _row_cells(row: RowView) -> list[str]:
    return [row.email, row.user_name or "", row.kind, row.why, *_change_cells(row)]


def _item_cells(item: ItemView) -> list[str]:
    return [
        item.email,
        item.row.user_name or "",
        item.state,
        item.reason,
        " ".join(item.stored),
        clock.iso(item.finished_at) or "",
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


def _names(refs: Sequence[DomainRef]) -> str:
    return "; ".join(ref.fqn for ref in refs)
