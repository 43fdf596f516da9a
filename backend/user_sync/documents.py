"""Plans and runs as JSON documents (CLI, REST) and as CSV, safe to open in a spreadsheet."""

from collections.abc import Iterable
from typing import Any

from backend.core import csv_export
from backend.core.clock import iso
from backend.user_sync.fields import ATTRIBUTES, DOMAINS, TEXTS
from backend.user_sync.schemas import OBSERVED, ItemView, PlanView, RowView, RunView

_STATUS = {"pending": "not_tried", "sending": "unknown"}
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


def status(state: str) -> str:
    """What people outside read for an item's state."""
    return _STATUS.get(state, state)


def plan_document(plan: PlanView, rows: Iterable[RowView] | None = None) -> dict[str, Any]:
    """summary counts rows per kind, fields users per field; rows only when given."""
    document: dict[str, Any] = {
        "plan_id": plan.id,
        "environment": plan.environment,
        "state": plan.state,
        "error": plan.error,
        "origin": plan.origin,
        "reverts_run_id": plan.reverts_run_id,
        "run_id": plan.run_id,
        "summary": plan.kinds,
        "fields": {k: n for k, n in plan.fields.items() if k not in OBSERVED},
        "observed": plan.observed,
        "directory_users": plan.directory_count,
        "matched_users": plan.matched_count,
        "digest": plan.digest,
        "created_at": iso(plan.created_at),
        "created_by": plan.actor_name,
        "expires_at": iso(plan.expires_at),
    }
    if rows is not None:
        document["rows"] = [row_document(row) for row in rows]
    return document


def row_document(row: RowView) -> dict[str, Any]:
    """changes holds the fields that would be written, old and new."""
    return {
        "email": row.email,
        "user_id": row.user_id,
        "user_name": row.user_name,
        "user_url": row.user_url,
        "status": row.kind,
        "reason": row.why,
        "look_alike": row.look_alike,
        "unknown_domains": list(row.unknown),
        "changes": {
            name: {"old": ATTRIBUTES[name].document(old), "new": ATTRIBUTES[name].document(new)}
            for name, (old, new) in row.changes.items()
        },
    }


def refusal_document(plan_id: int | None, error: str, message: str) -> dict[str, Any]:
    """A run that was refused, in the shape of a run."""
    return {
        "run_id": None,
        "plan_id": plan_id,
        "summary": {"applied": 0, "conflict": 0, "failed": 0},
        "rows": [],
        "error": error,
        "message": message,
    }


def run_document(run: RunView, items: Iterable[ItemView]) -> dict[str, Any]:
    """summary always names applied, conflict and failed; other states only when there are any."""
    summary = {"applied": 0, "conflict": 0, "failed": 0}
    for state, count in run.counts.items():
        name = status(state)
        summary[name] = summary.get(name, 0) + count
    return {
        "run_id": run.id,
        "plan_id": run.plan_id,
        "environment": run.environment,
        "state": run.state,
        "note": run.note,
        "reused": run.reused,
        "summary": summary,
        "rows": [
            {
                "email": item.email,
                "user_id": item.user_id,
                "status": status(item.state),
                "reason": item.reason,
                "stored": list(item.stored),
            }
            for item in items
        ],
    }


def plan_csv(rows: Iterable[RowView]) -> str:
    """One line per directory user."""
    header = ("email", "user", "status", "reason", *_CHANGE)
    cells = ([r.email, r.user_name or "", r.kind, r.why, *_change_cells(r)] for r in rows)
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
