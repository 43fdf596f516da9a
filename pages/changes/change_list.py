"""The list of change requests."""

from typing import Any

from backend.changes.schemas import ChangePage, ChangeView
from pages.shared import filters, tables

EMPTY = {
    "to_approve": "Nothing is waiting for you.",
    "mine": "You have asked for nothing yet.",
    "done": "No change has ended yet.",
}


def table(page: ChangePage, current: int | None) -> int | None:
    """Draw the list; returns the number of the open change. current: what the address names."""
    return tables.choose(
        page.items,
        _row,
        id_of=lambda view: view.id,
        current=current,
        key="changes.table",
        alt="Change requests, newest first",
        states=("State",),
        file="changes",
        foot=lambda: filters.pages(page.next_cursor, parameter="cursor", key="changes.pages"),
    )


def _row(view: ChangeView) -> dict[str, Any]:
    return {
        "Change": view.id,
        "What": view.label,
        "About": view.subject,
        "Environment": view.environment,
        "Size": view.size_words,
        "Asked by": view.requester,
        "Asked": view.created_at,
        "Expires": view.expires_at,
        "State": view.status,
    }
